"""Score the test pairs with a logistic regression over the edits' words: the figure to beat."""

from pathlib import Path

import numpy as np

from fluency.baseline import fit, score
from fluency.calibration import choose_threshold
from fluency.files import read_parquet, write_json
from fluency.metrics import figures
from fluency.params import load_params
from stages import run

PAIRS, FIGURES = Path("data/pairs"), Path("metrics/baseline.json")


def main() -> None:
    params = load_params()
    train, validation, test = (read_parquet(PAIRS / f"{split}.parquet") for split in ("train", "validation", "test"))
    model = fit(train, params.baseline)
    threshold = choose_threshold(
        score(model, validation), np.array([pair["label"] for pair in validation]), params.decision
    )
    result = figures(
        score(model, test),
        np.array([pair["label"] for pair in test]),
        [pair["group"] for pair in test],
        [pair["part"] for pair in test],
        threshold=threshold,
        resamples=params.evaluate.resamples,
        seed=params.evaluate.seed,
    )
    write_json(FIGURES, result)
    print(f"baseline: precision {result['precision']:.3f}, recall {result['recall']:.3f}")


if __name__ == "__main__":
    run(main)
