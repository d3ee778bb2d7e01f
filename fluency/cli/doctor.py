"""A look over machine and checkout before a long run: ten lines, each with what to do where something is amiss."""

import argparse
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from fluency.cli.checkout import CHECKPOINTS, git
from fluency.params import Params, params_with
from fluency.sources.params import ModelParams
from fluency.utils.errors import UserError
from fluency.utils.files import read_json

_ENOUGH = 15  # GiB of free disk: checkpoints of ModernBERT-large, with the next one written aside, take 13.3


@dataclass(frozen=True)
class Finding:
    """What one look found; `remedy` is empty where nothing is amiss."""

    name: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        return (
            f"{'look' if self.remedy else 'ok':4}  {self.name:10} {self.found}{'; ' * bool(self.remedy)}{self.remedy}"
        )


def run(chosen: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        UserError: something is amiss.
    """
    amiss = 0
    for finding in examine(chosen.set_param):
        print(finding, flush=True)
        amiss += bool(finding.remedy)
    if amiss:
        raise UserError(f"{amiss} of these need a look")


def examine(overrides: Sequence[str] = ()) -> Iterator[Finding]:
    """Look at one thing after the other; nothing is changed, and a look that fails is a finding too.

    Args:
        overrides: `KEY=VALUE` each: how the params will differ from params.yaml (`dvc exp run -S KEY=VALUE`).
    """
    params = cache(lambda: params_with(overrides))
    looks: dict[str, Callable[[], Finding]] = {
        "packages": _packages,
        "code": _code,
        "params": lambda: Finding("params", f"{len(vars(params()))} blocks read"),
        "plan": lambda: _plan(params()),
        "disk": _disk,
        "sources": lambda: _sources(params()),
        "tracking": _tracking,
        "git": _git,
        "dvc": _dvc,
        "training": _training,
    }
    for name, look in looks.items():
        try:
            yield look()
        except (UserError, OSError, ImportError) as error:
            found, _, remedy = " ".join(str(error).split()).partition("; ")
            yield Finding(name, found, remedy or "mend it before a run")


def _packages() -> Finding:
    pins = re.findall(r"^([\w-]+).*==(.+)$", Path("requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    wrong = [name for name, pin in pins if _installed(name).partition("+")[0] != pin]
    if wrong:
        remedy = "`make .venv/installed`, then `source .venv/bin/activate`"
        return Finding("packages", f"not as pinned: {', '.join(wrong)}", remedy)
    return Finding("packages", f"{len(pins)} as pinned in requirements.txt")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _code() -> Finding:
    here, imported = Path.cwd().resolve(), Path(__file__).resolve().parent.parent.parent
    # what building a wheel leaves beside the code is no copy of it
    if any(Path(its.locate_file("")).resolve() != imported for its in distributions(name="fluency-edits")):
        return Finding("code", "an installed copy of fluency", "uninstall it: experiments in copies would import it")
    if imported != here:
        return Finding("code", f"imported from {imported}", f"run at the root of the checkout; this is {here}")
    return Finding("code", "imported from this checkout")


def _plan(params: Params) -> Finding:
    import torch

    from fluency.model.device import use_machine
    from fluency.training.plan import devices_at_hand, plan_for

    devices = devices_at_hand(params.train.accelerate_config)
    recipe = params.edit_head.recipe(params.train) if _kind(params.model) == "edit_head" else params.train
    plan = plan_for(recipe, devices)
    gpus = devices.count if devices.type == "cuda" else 0
    found = f"{plan}, on {f'{gpus} x {torch.cuda.get_device_name()}' if gpus else f'{use_machine()} CPU threads'}"
    if plan.processes < params.train.num_processes:
        found += " (fewer devices than train.num_processes: the same result, later)"
    elif gpus > plan.processes:
        found += f" (train.num_processes leaves {gpus - plan.processes} idle)"
    return Finding("plan", found)


def _kind(model: ModelParams) -> str | None:
    """How the base model will be used, as far as it is known before it is fetched."""
    manifest = Path("models/base/manifest.json")
    fetched = read_json(manifest) if manifest.is_file() else {}
    if model.kind is None and fetched.get("source") == model.source:
        return fetched["kind"]
    return model.kind or ("edit_head" if model.source.endswith(".gguf") else None)


def _disk() -> Finding:
    free = shutil.disk_usage(".").free / 2**30
    return Finding(
        "disk", f"{free:.0f} GiB free", "" if free >= _ENOUGH else f"free some: {_ENOUGH} GiB are a sane least"
    )


def _sources(params: Params) -> Finding:
    named = [("data.source", "dataset", source.name) for source in params.data.sources]
    named.append(("model.source", "model", params.model.source))
    found = []
    for key, kind, source in named:
        scheme, _, rest = source.partition(":")
        if scheme == "hub":
            from fluency.sources.data import split_config
            from fluency.sources.hub import commit

            found.append(f"{source} at {(commit(kind, split_config(rest)[0], key).sha or '')[:12]}")
        elif scheme == "path":
            from fluency.sources.data import local_path

            if not local_path(rest).exists():
                return Finding("sources", f"{key}: {rest} is not there", "name a file or folder that is")
            found.append(source)
    return Finding("sources", ", ".join(found) or "none of a hub or this machine's files")


def _tracking() -> Finding:
    from fluency.training.callbacks import wandb_wanted

    if wandb_wanted(os.environ):
        return Finding("tracking", f"W&B {os.environ.get('WANDB_MODE', 'online')}")
    return Finding("tracking", "W&B off (WANDB_API_KEY, or WANDB_MODE=offline, turns it on)")


def _git() -> Finding:
    if not str(Path.cwd()).isascii():
        return Finding(
            "git", f"{Path.cwd()}: letters beyond ASCII", "move it: queued experiments hang in such a folder"
        )
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        return Finding("git", "a shallow clone", "`git fetch --unshallow`: it loses queued experiments")
    if untracked := len(git("ls-files", "--others", "--exclude-standard").splitlines()):
        return Finding(
            "git", f"untracked files: {untracked}", "`git add` what queued experiments need; they see no other"
        )
    changed = len(git("status", "--porcelain").splitlines())
    return Finding("git", f"changed files: {changed}" if changed else "clean")


def _dvc() -> Finding:
    from fluency.sources.dvc_project import freshness

    if not Path("dvc.lock").is_file():
        return Finding("dvc", "no results yet", "`dvc repro`")
    state = freshness()
    if state.stale:
        return Finding("dvc", f"results are not of this code, params and data: {', '.join(state.stale)}", "`dvc repro`")
    if state.missing:
        return Finding("dvc", f"outputs are not here: {', '.join(state.missing)}", "`dvc pull`, or `dvc repro`")
    return Finding("dvc", "results are of this code, params and data")


def _training() -> Finding:
    from fluency.training.checkpoints import held

    folders = [path for path in CHECKPOINTS.glob("*") if path.is_dir()]
    alive = sum(held(path) for path in folders)
    if alive:
        return Finding(
            "training", f"{alive} alive in this checkout", "wait for it, or stop it; two slow each other down"
        )
    if not folders:
        return Finding("training", "none alive, none cut off")
    size = sum(path.stat().st_size for path in CHECKPOINTS.rglob("*") if path.is_file()) / 2**30
    return Finding(
        "training",
        f"{len(folders)} cut off, which go on when started again; {size:.1f} GiB in {CHECKPOINTS}/, of which you may "
        "remove what you give up",
    )
