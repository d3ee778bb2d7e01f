"""Score the test pairs with a logistic regression over the edits' words: the figure to beat."""

from pathlib import Path

import numpy as np

from fluency.baselines.logistic_regression import fit, score
from fluency.evaluation.calibration import choose_threshold
from fluency.evaluation.predictions import write_predictions
from fluency.evaluation.scored_pairs import ScoredPairs, figures
from fluency.params import load_params
from fluency.utils.files import read_parquet, write_json
from stages import run

PAIRS = Path("data/pairs")
FIGURES, PREDICTIONS = Path("metrics/baseline.json"), Path("results/baseline.parquet")


def main() -> None:
    params = load_params()
    train, validation, test = (read_parquet(PAIRS / f"{split}.parquet") for split in ("train", "validation", "test"))
    model = fit(train, params.baseline)
    labels = np.array([pair["label"] for pair in validation])
    scored = ScoredPairs(test, score(model, test), choose_threshold(score(model, validation), labels, params.decision))
    result = figures(scored, params.evaluate)
    write_json(FIGURES, result)
    write_predictions(PREDICTIONS, scored)
    print(f"baseline: precision {result['precision']:.3f}, recall {result['recall']:.3f}")


if __name__ == "__main__":
    run(main)
