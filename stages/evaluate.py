"""Score the test pairs and the challenge set, once, at the calibrated operating point; write metrics, predictions."""

from pathlib import Path

import numpy as np

from fluency.corpus.challenge import read_challenge
from fluency.evaluation.behaviour import checked_changes, checks
from fluency.evaluation.calibration import Calibration
from fluency.evaluation.challenge import challenge_figures
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.predictions import write_predictions, write_reference
from fluency.evaluation.scored_pairs import ScoredPairs, at_thresholds, figures
from fluency.metrics import probabilities
from fluency.model.classifier import load_classifier, predict
from fluency.model.device import device_at_hand, use_machine
from fluency.model.encoded_pairs import EncodedPairs
from fluency.utils.config import read_params
from fluency.utils.files import read_parquet, write_json
from fluency.utils.processes import run_stage

MODEL, CALIBRATION = Path("models/fluency"), Path("models/calibration.json")
TEST, ENCODED, CHALLENGE = Path("data/pairs/test.parquet"), Path("data/encoded/test"), Path("data/sample/challenge")
METRICS, RESULTS = Path("metrics"), Path("results")


def main() -> None:
    pairs, edits, calibration = read_parquet(TEST), read_challenge(CHALLENGE), Calibration.load(CALIBRATION)
    use_machine()
    classifier = load_classifier(MODEL, device_at_hand())
    logits = classifier.logits(EncodedPairs(ENCODED), progress="test")
    scored = ScoredPairs(pairs, calibration.scores(logits), calibration.threshold)
    changes = [(pair["before"], pair["after"]) for pair in pairs]
    of_pairs = dict(zip(changes, scored.scores.tolist(), strict=True))
    others = [change for change in checked_changes(pairs) if change not in of_pairs]
    more = predict(classifier, [*others, *(edit.change for edit in edits)], progress="challenge set and checks")
    more_scores = calibration.scores(more)
    scores = of_pairs | dict(zip(others, more_scores.tolist(), strict=False))
    result = figures(scored, read_params("evaluate", EvaluateParams), uncalibrated=probabilities(logits))
    result["certified"] = at_thresholds(scored, calibration.certified_thresholds())
    result["checks"] = checks(pairs, scores, calibration.threshold)
    result["checks"]["support"] = calibration.support.counts(changes, scored.accepted)  # figures of pairs are by score
    write_json(METRICS / "test.json", result)
    of_edits = more_scores[len(others) :]
    supported = np.array([not calibration.support.outside(edit.change) for edit in edits])  # `decide` accepts no other
    write_json(METRICS / "challenge.json", challenge_figures(edits, (of_edits >= calibration.threshold) & supported))
    write_reference(RESULTS, logits, scored.labels)
    write_predictions(RESULTS / "predictions.parquet", scored)


if __name__ == "__main__":
    run_stage(main)
