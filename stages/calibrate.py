"""Learn slope, intercept, operating point and support from the validation pairs, and what is certain there."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from fluency.evaluation.calibration import calibrate
from fluency.evaluation.params import DecisionParams, EvaluateParams
from fluency.evaluation.scored_pairs import ScoredPairs, figures
from fluency.metrics import probabilities
from fluency.model.classifier import load_classifier
from fluency.model.device import device_at_hand, use_machine
from fluency.model.encoded_pairs import EncodedPairs
from fluency.utils.config import read_params
from fluency.utils.files import read_parquet, sha256, write_json
from fluency.utils.processes import run_stage

MODEL, VALIDATION = Path("models/fluency"), Path("data/pairs/validation.parquet")
ENCODED = Path("data/encoded/validation")
CALIBRATION, FIGURES = Path("models/calibration.json"), Path("metrics/validation.json")


def main() -> None:
    pairs, decision = read_parquet(VALIDATION), read_params("decision", DecisionParams)
    use_machine()
    classifier = load_classifier(MODEL, device_at_hand())
    logits = classifier.logits(EncodedPairs(ENCODED), progress="validation")
    calibration, note = calibrate(
        logits,
        np.array([pair["label"] for pair in pairs]),
        np.array([pair["group"] for pair in pairs]),
        decision,
        max_length=classifier.reader.max_length,
        files={path.name: sha256(path) for path in sorted(MODEL.iterdir())},
        changes=[(pair["before"], pair["after"]) for pair in pairs],
    )
    scored = ScoredPairs(pairs, calibration.scores(logits), calibration.threshold)
    result = figures(scored, read_params("evaluate", EvaluateParams), uncalibrated=probabilities(logits))
    result["support"] = {"level": calibration.support.level, "bounds": calibration.support.bounds}
    certificate = asdict(calibration.certificate)
    result["operating_point"]["certificate"] = {name: its for name, its in certificate.items() if name != "method"}
    calibration.save(CALIBRATION)
    write_json(FIGURES, result)
    print(f"threshold {calibration.threshold:.5f}: {calibration.certificate}")
    if note:
        print(note)


if __name__ == "__main__":
    run_stage(main)
