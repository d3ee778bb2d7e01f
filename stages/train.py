"""Fine-tune the base model on the pairs, on the devices at hand; every process of the plan runs this."""

import os
from pathlib import Path

import yaml

from fluency.training.launch import run_plan
from fluency.training.params import TrainParams
from fluency.training.plan import Plan
from fluency.utils.config import read_params
from fluency.utils.errors import run_stage

PAIRS, BASE, MODEL = Path("data/pairs"), Path("models/base"), Path("models/fluency")
CURVES, FIGURES = Path("metrics/plots"), Path("metrics/training.json")


def main() -> None:
    params = read_params("train", TrainParams)

    def work(plan: Plan, checkpoints: Path) -> None:
        from fluency.training.trainer import train

        train(
            params, plan, pairs=PAIRS, base=BASE, model_folder=MODEL, curves=CURVES, figures=FIGURES,
            checkpoints=checkpoints,
        )  # fmt: skip

    deps = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]["train"]["deps"]
    run_plan(
        work,
        params,
        module="stages.train",
        inputs=map(Path, deps),  # what DVC would train again for
        # outside DVC's outputs, which are deleted before a stage runs, and shared by experiments in temporary copies
        checkpoint_root=Path(os.environ.get("DVC_ROOT", "."), ".checkpoints"),
    )


if __name__ == "__main__":
    run_stage(main)
