"""Score the test pairs with a logistic regression over the edits' words: the figure to beat."""

from pathlib import Path

import numpy as np

from fluency.baselines.logistic_regression import BaselineParams, fit, score
from fluency.evaluation.calibration import choose_threshold
from fluency.evaluation.params import DecisionParams, EvaluateParams
from fluency.evaluation.predictions import write_predictions
from fluency.evaluation.scored_pairs import ScoredPairs, figures
from fluency.utils.config import read_params
from fluency.utils.errors import run_stage
from fluency.utils.files import read_parquet, write_json

PAIRS = Path("data/pairs")
FIGURES, PREDICTIONS = Path("metrics/baseline.json"), Path("results/baseline.parquet")


def main() -> None:
    train, validation, test = (read_parquet(PAIRS / f"{split}.parquet") for split in ("train", "validation", "test"))
    model = fit(train, read_params("baseline", BaselineParams))
    labels = np.array([pair["label"] for pair in validation])
    threshold = choose_threshold(score(model, validation), labels, read_params("decision", DecisionParams))
    scored = ScoredPairs(test, score(model, test), threshold)
    result = figures(scored, read_params("evaluate", EvaluateParams))
    write_json(FIGURES, result)
    write_predictions(PREDICTIONS, scored)
    print(f"baseline: precision {result['precision']:.3f}, recall {result['recall']:.3f}")


if __name__ == "__main__":
    run_stage(main)
