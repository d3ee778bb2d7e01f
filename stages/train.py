"""Fine-tune the base model on the pairs; started by `accelerate launch`, once per process."""

import os
from pathlib import Path

from fluency.files import read_parquet
from fluency.params import load_params
from fluency.training import train
from stages import run

PAIRS, BASE, MODEL, CURVES = (
    Path("data/pairs"),
    Path("models/base"),
    Path("models/fluency"),
    Path("metrics/plots"),
)


def main() -> None:
    train(
        load_params().train,
        read_parquet(PAIRS / "train.parquet"),
        read_parquet(PAIRS / "validation.parquet"),
        base=BASE,
        model_folder=MODEL,
        curves=CURVES,
        # outside DVC's outputs, which are deleted before a stage runs, and shared by experiments in temporary copies
        checkpoint_root=Path(os.environ.get("DVC_ROOT", "."), ".checkpoints"),
    )


if __name__ == "__main__":
    run(main)
