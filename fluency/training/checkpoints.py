"""Checkpoints of a run that may be cut off: whose they are, which are whole, and that one run at a time uses them."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import torch.distributed

from fluency.training.params import TrainParams
from fluency.training.plan import Plan
from fluency.utils.errors import UserError
from fluency.utils.files import sha256
from fluency.utils.processes import locked

# How an experiment runs, not what it is: a run may go on with others of these. (Global batch and precision count.)
_MEANS = (
    "num_processes",
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "gradient_checkpointing",
    "dataloader_num_workers",
    "cuda_graphs",
    "torch_compile",
    "accelerate_config",
    "ddp_timeout",
    "bf16",
)


def experiment_digest(params: TrainParams, plan: Plan, inputs: Iterable[Path]) -> str:
    """A name that two runs share only if one may go on from the other's checkpoints.

    Args:
        inputs: the files and folders that the result comes from: pairs, base model and code.
    """
    recipe = {name: value for name, value in asdict(params).items() if name not in _MEANS}
    files = [file for path in inputs for file in sorted(path.rglob("*") if path.is_dir() else [path])]
    digests = [sha256(file) for file in files if file.is_file() and file.suffix != ".pyc"]
    everything = (recipe, plan.global_batch, plan.bf16, plan.sharded, digests)
    return hashlib.sha256(repr(everything).encode()).hexdigest()[:16]


def held(folder: Path) -> bool:
    """Whether a process that is alive holds these checkpoints."""
    descriptor = locked(folder)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the checkpoints of an experiment while it trains; on success they are removed.

    What was cut off while it was written is cleared. Those of other experiments stay: where locks do not reach (NFS),
    one may be running.

    Raises:
        UserError: another process holds them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = locked(folder)
    if descriptor is None:
        with suppress(OSError):
            holder = (folder / "pid").read_text()
            raise UserError(f"this experiment is being trained already, by process {holder}; wait for it, or stop it")
        raise UserError("this experiment is being trained already; wait for it, or stop it")
    try:
        (folder / "pid").write_text(str(os.getpid()))
        whole = whole_steps(folder)
        for path in folder.glob("checkpoint-*"):
            if _step(path) not in whole:
                shutil.rmtree(path)
        yield
        shutil.rmtree(folder)
    finally:
        os.close(descriptor)


def whole_steps(folder: Path) -> set[int]:
    """Steps of the checkpoints in `folder` that were written to their end: the trainer's state comes last."""
    steps = set()
    for path in folder.glob("checkpoint-*/trainer_state.json"):
        with suppress(json.JSONDecodeError):
            json.loads(path.read_text(encoding="utf-8"))
            steps.add(_step(path.parent))
    return steps


def checkpoint_to_resume(folder: Path) -> Path | None:
    """The latest checkpoint that every process finds whole on its machine; later ones are removed.

    To be called by every process of a group.

    Raises:
        UserError: the processes do not train the same experiment.
    """
    steps = whole_steps(folder)
    if torch.distributed.is_initialized():
        found: list[tuple[str, set[int]]] = [("", set())] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(found, (folder.name.partition("-")[0], steps))
        if len({digest for digest, _ in found}) > 1:
            raise UserError("the machines train different experiments; bring all to one commit, params.yaml and data")
        steps = set.intersection(*(steps for _, steps in found))
    last = max(steps, default=0)
    for path in folder.glob("checkpoint-*"):
        if _step(path) > last:
            shutil.rmtree(path, ignore_errors=True)  # a neighbour may be faster
    return folder / f"checkpoint-{last}" if steps else None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
