"""Score the test pairs without training a model: by the edits' words, a language model as it is, and peers."""

from pathlib import Path

import numpy as np

from fluency.baselines import language_model, peers
from fluency.baselines.logistic_regression import fit, score
from fluency.baselines.params import BaselineParams
from fluency.evaluation.operating_point import choose
from fluency.evaluation.params import DecisionParams, EvaluateParams
from fluency.evaluation.predictions import write_predictions
from fluency.evaluation.scored_pairs import ScoredPairs, figures
from fluency.model.encoded_pairs import EncodedPairs
from fluency.utils.config import read_params
from fluency.utils.files import read_parquet, write_json, written_aside
from fluency.utils.processes import run_stage

PAIRS, ENCODED = Path("data/pairs"), Path("data/encoded")
FIGURES, PREDICTIONS = Path("metrics/baseline.json"), Path("results/baseline")


def main() -> None:
    params = read_params("baseline", BaselineParams)
    train, validation, test = (read_parquet(PAIRS / f"{split}.parquet") for split in ("train", "validation", "test"))
    by_peers = {name: peers.SCORES[name](test) for name in params.peers}  # first, as one may not be installed
    model = fit(train, params)
    labels, groups = (np.array([pair[name] for pair in validation]) for name in ("label", "group"))
    scores = {
        "words_alone": [score(model, validation), score(model, test)],
        "language_model": [language_model.score(EncodedPairs(ENCODED / split)) for split in ("validation", "test")],
    }
    decision, evaluate = read_params("decision", DecisionParams), read_params("evaluate", EvaluateParams)
    judges = {
        name: ScoredPairs(test, on_test, choose(on_validation, labels, groups, decision).threshold)
        for name, (on_validation, on_test) in scores.items()
        if on_test is not None
    }
    judges |= {name: ScoredPairs(test, its, peers.THRESHOLD) for name, its in by_peers.items()}
    result = {}
    with written_aside(PREDICTIONS) as aside:
        for name, scored in judges.items():
            result[name] = figures(scored, evaluate)
            write_predictions(aside / f"{name}.parquet", scored)
    write_json(FIGURES, result)
    for name, its in result.items():
        print(f"{name.replace('_', ' ')}: average precision {its['average_precision']:.3f}")


if __name__ == "__main__":
    run_stage(main)
