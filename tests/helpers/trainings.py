"""A folder in which the train stage runs as it does under DVC, on few pairs and a tiny model."""

import csv
import gc
import json
import multiprocessing
import os
import random
import shutil
import sys
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml
from safetensors.torch import load_file

from fluency.model.encode import encode_pairs, reader_of
from fluency.params import load_params
from fluency.training.params import TrainParams
from fluency.utils.errors import UserError
from fluency.utils.files import write_json
from stages.train import main
from tests.conftest import ROOT

_DEFAULTS = load_params(ROOT / "params.yaml")
PARAMS, ENCODE = _DEFAULTS.train, _DEFAULTS.encode
RECIPE = {
    "num_processes": 4,
    "per_device_train_batch_size": 2,
    "num_train_epochs": 4.0,
    "learning_rate": 3e-4,  # at a higher one gradients vanish, and builds of torch differ in what is left
    "min_recall": 0.0,
}


def pairs(count: int) -> list[dict]:
    rng = random.Random(3)
    words = "the a cat dogs run runs is are big very house in on".split()
    rows = []
    for _ in range(count // 2):
        good = [rng.choice(words) for _ in range(rng.randrange(3, 12))]
        bad = [*good[:2], good[1], *good[2:]]
        for before, after, label in ((good, bad, 0), (bad, good, 1)):
            number = str(len(rows))
            rows.append({"id": number, "before": " ".join(before), "after": " ".join(after), "label": label})
    return rows


_FORKS = multiprocessing.get_context("forkserver")
# importing these is most of the time of a short training
_FORKS.set_forkserver_preload(
    [
        "fluency.training.trainer",
        "accelerate.commands.launch",
        "transformers.models.modernbert.modeling_modernbert",
        "sklearn.metrics",
        __name__,
    ]
)


@cache
def _inputs(base: Path, max_length: int) -> TemporaryDirectory:
    """What the stages before `train` leave, with the encoder in `base`: models/base/ and data/; made once a process."""
    made = TemporaryDirectory()
    folder = Path(made.name)
    shutil.copytree(base, folder / "models/base")
    write_json(folder / "models/base/manifest.json", {"kind": "cross_encoder"})
    reader = reader_of(folder / "models/base", replace(ENCODE, max_length=max_length))
    for split, count in (("train", 86), ("validation", 22)):
        path = folder / "data/pairs" / f"{split}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        # an odd number of validation pairs, so that no number of processes divides them
        pq.write_table(pa.Table.from_pylist(pairs(count)[: count - (split == "validation")]), path)
        encode_pairs(path, folder / "data/encoded" / split, reader, parts=folder / "parts", progress=split)
    return made


class Training:
    """A copy of the code with params, encoded pairs and a base model of its own.

    Args:
        base: folder of an encoder.
        max_length: instead of `encode.max_length`.
        changes: of train params.
    """

    def __init__(self, folder: Path, base: Path, *, max_length: int = ENCODE.max_length, **changes: Any) -> None:
        self.folder, self.max_length = folder, max_length
        for package in ("fluency", "stages", "accelerate_configs"):
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
        shutil.copytree(_inputs(base, max_length).name, folder, dirs_exist_ok=True)
        self.params: TrainParams = replace(PARAMS, **RECIPE)
        self.change(**changes)

    def change(self, **changes: Any) -> None:
        """Change train params."""
        self.params = replace(self.params, **changes)
        encode = asdict(replace(ENCODE, max_length=self.max_length))
        tree = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"encode": encode, "train": asdict(self.params)}
        (self.folder / "params.yaml").write_text(yaml.safe_dump(tree))

    def elsewhere(self, folder: Path) -> "Training":
        """The same training in a copy of its folder."""
        copy = object.__new__(Training)
        copy.folder, copy.params, copy.max_length = folder, self.params, self.max_length
        return copy

    def fork(self, **environment: str) -> multiprocessing.Process:
        """Start the stage as a process of its own group, as a shell does, but with the library imported already."""
        process = _FORKS.Process(target=_run_stage, args=(self.folder, environment))
        process.start()
        return process

    def ended(self, process: multiprocessing.Process, *, fails: bool = False) -> str:
        """Wait for a process of `fork`; returns what it printed. It has to succeed, or to fail in one clear line."""
        process.join()
        return checked(process.exitcode, self.printed, fails=fails)

    def run(self, *, fails: bool = False, **environment: str) -> str:
        """Run the stage to its end as `fork` and `ended` do."""
        return self.ended(self.fork(**environment), fails=fails)

    def accelerate(self, **config: Any) -> None:
        """Give it an accelerate configuration of its own."""
        (self.folder / "own.yaml").write_text(yaml.safe_dump({"compute_environment": "LOCAL_MACHINE"} | config))

    @property
    def printed(self) -> str:
        """What the last run has printed so far."""
        return (self.folder / "printed").read_text(encoding="utf-8")

    @property
    def model(self) -> Path:
        return self.folder / "models/fluency"

    @property
    def checkpoints(self) -> Path:
        return self.folder / ".checkpoints"

    def weights(self) -> dict[str, torch.Tensor]:
        return load_file(self.model / "model.safetensors")

    def curve(self, name: str, column: str) -> list[float]:
        with (self.folder / "metrics/plots" / name).open() as file:
            return [float(row[column]) for row in csv.DictReader(file)]


def checked(code: int, printed: str, *, fails: bool) -> str:
    """What a stage printed that ended with `code`: it has to be 0, or where `fails` another and the reason one line."""
    assert (code != 0) == fails, printed
    if fails:
        assert len([line for line in printed.splitlines() if line.startswith("error: ")]) == 1, printed
        assert "Traceback" not in printed, printed
    return printed


def _run_stage(folder: Path, environment: dict[str, str]) -> None:
    gc.freeze()  # what was imported is no garbage, and takes long to look through
    os.setsid()
    os.chdir(folder)
    os.environ |= environment
    file = os.open("printed", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["train"]
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")


def cpu_processes(count: int, **more: Any) -> dict[str, Any]:
    """An accelerate configuration of CPU processes."""
    return {"use_cpu": True, "distributed_type": "MULTI_CPU", "num_processes": count} | more


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
