"""A trained model as users have it: found by folder, repository or hub id, and refused unless it is whole and ours."""

import hashlib
import re
from pathlib import Path

from fluency.evaluation.calibration import Calibration
from fluency.metrics import LABELS
from fluency.sources.dvc_project import commit_of, download
from fluency.sources.hub import snapshot
from fluency.utils.caches import cache_folder, make_once
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, sha256

CALIBRATION = "calibration.json"  # in the model's folder, as exported, or beside it, as the pipeline leaves it
_MODEL = "models/fluency"  # of a repository
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]  # nothing that could be executed
_EXECUTABLE = {".bin", ".ckpt", ".h5", ".joblib", ".msgpack", ".pickle", ".pkl", ".pt", ".pth", ".py", ".so"}


def locate(source: str | Path, revision: str | None = None) -> Path:
    """The local folder of a model.

    Args:
        source: the model's folder; a git repository of this project (a local folder, or an address, whose DVC remote
            has the model); or a hub's OWNER/NAME, of what `fluency export` wrote. A `Path` is never a hub's.
        revision: of the repository: a branch, tag, commit or DVC experiment.

    Raises:
        UserError: there is no model by that name, or it is out of reach.
    """
    folder, name = Path(source), str(source)
    if revision is None and (folder / "config.json").is_file():
        return folder
    if revision is None and (folder / _MODEL / "config.json").is_file():
        return folder / _MODEL
    if (folder / "dvc.yaml").is_file() or "://" in name or name.startswith("git@") or name.endswith(".git"):
        return _of_repository(name, revision)
    # the pipeline's own folder is nobody's model on a hub, least of all where it is missing
    named_as_a_hubs = isinstance(source, str) and name != _MODEL and re.fullmatch(r"[\w.-]+/[\w.-]+", name)
    if named_as_a_hubs and not folder.exists():
        return snapshot("model", f"{name}@{revision}" if revision else name, _HUB_FILES, "model")[0]
    raise UserError(
        f"{source}: no model there{' that has revisions' if revision else ''}; name a model's folder, a git "
        "repository or a hub's OWNER/NAME; in a checkout, `dvc pull` fetches its model, `dvc repro` trains one"
    )


def whole_name(source: str | Path) -> str:
    """A model's source by a name that holds for a worker elsewhere on this machine, too."""
    return str(Path(source).resolve() if Path(source).exists() else source)


def _of_repository(url: str, revision: str | None) -> Path:
    commit = commit_of(url, revision)
    folder = cache_folder("models", hashlib.sha256(url.encode()).hexdigest()[:16], commit)

    def fetch(aside: Path) -> None:
        download(url, commit, _MODEL, aside / "fluency")
        download(url, commit, f"models/{CALIBRATION}", aside / CALIBRATION)

    make_once(folder, fetch)
    return folder / "fluency"


def _is_read(path: Path) -> bool:
    """Whether transformers may read the file: configurations, weights, vocabularies, templates."""
    return any(path.match(pattern) for pattern in (*_HUB_FILES, "*.jinja"))


def checked(folder: Path) -> Calibration:
    """The calibration of the model in `folder`, once it is sure that both belong together and nothing there is code.

    Raises:
        UserError: there is no calibration, a file isn't the one that was calibrated or wasn't calibrated at all, the
            labels aren't ours, or there are pickled weights or code.
    """
    inside = folder / CALIBRATION
    beside = folder.parent / CALIBRATION
    if not inside.is_file() and not beside.is_file():
        raise UserError(
            f"{folder}: no {CALIBRATION} in it or beside it; `dvc repro` makes the pipeline's, an export has its own"
        )
    calibration = Calibration.load(inside if inside.is_file() else beside)
    for path in sorted(folder.iterdir()):
        if path.suffix in _EXECUTABLE:
            raise UserError(f"{path}: pickled weights or code, which is never read; remove it if you trust the rest")
        if path.name != CALIBRATION and path.name not in calibration.files and _is_read(path):
            raise UserError(
                f"{path}: was not calibrated, and may change what the model says; remove it, or `dvc repro`"
            )
    for name in ("config.json", "tokenizer_config.json"):
        if "auto_map" in read_json(folder / name):
            raise UserError(f"{folder / name}: asks for code of the model's own (auto_map), which is never run")
    labels, ours = read_json(folder / "config.json").get("label2id"), {name: label for label, name in enumerate(LABELS)}
    if labels != ours:
        raise UserError(f"{folder / 'config.json'}: its labels are {labels}, not {ours}; no fluency-edit classifier")
    for name, digest in calibration.files.items():
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: is missing; `dvc repro`, or fetch the model again")
        if sha256(folder / name) != digest:
            raise UserError(f"{folder / name}: not the file that was calibrated; `dvc repro`, or fetch the model again")
    if not any(name.endswith(".safetensors") for name in calibration.files):
        raise UserError(f"{folder}: the calibration names no weights; `dvc repro calibrate` writes it")
    return calibration
