"""Train the classifier on the encoded pairs, on the devices at hand; every process of the plan runs this."""

import os
from pathlib import Path

import yaml

from fluency.model.params import EncodeParams
from fluency.training.inputs import Inputs
from fluency.training.launch import run_plan
from fluency.training.params import EditHeadParams, TrainParams
from fluency.training.plan import Plan
from fluency.utils.config import read_params
from fluency.utils.processes import run_stage

ENCODED, BASE, MODEL = Path("data/encoded"), Path("models/base"), Path("models/fluency")
CURVES, FIGURES = Path("metrics/plots"), Path("metrics/training.json")


def main() -> None:
    inputs = Inputs(ENCODED, BASE, read_params("encode", EncodeParams), read_params("edit_head", EditHeadParams))
    params = inputs.recipe(read_params("train", TrainParams))

    def work(plan: Plan, checkpoints: Path) -> None:
        from fluency.training.trainer import train

        train(params, plan, inputs, model_folder=MODEL, curves=CURVES, figures=FIGURES, checkpoints=checkpoints)

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
