"""Score the test pairs, once, at the calibrated operating point; write predictions and metrics."""

from pathlib import Path

from fluency.evaluation.behaviour import checked_changes, checks
from fluency.evaluation.calibration import Calibration
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.predictions import write_predictions, write_reference
from fluency.evaluation.scored_pairs import ScoredPairs, figures
from fluency.metrics import probabilities
from fluency.model.inference import predict
from fluency.utils.config import read_params
from fluency.utils.errors import run_stage
from fluency.utils.files import read_parquet, write_json

MODEL, CALIBRATION, TEST = Path("models/fluency"), Path("models/calibration.json"), Path("data/pairs/test.parquet")
FIGURES, RESULTS = Path("metrics/test.json"), Path("results")


def main() -> None:
    pairs, calibration = read_parquet(TEST), Calibration.load(CALIBRATION)
    changes = [*((pair["before"], pair["after"]) for pair in pairs), *checked_changes(pairs)]
    every_logit = predict(MODEL, changes, progress="test")
    scores = probabilities(every_logit, calibration.temperature)
    logits, scored = every_logit[: len(pairs)], ScoredPairs(pairs, scores[: len(pairs)], calibration.threshold)
    result = figures(scored, read_params("evaluate", EvaluateParams), uncalibrated=probabilities(logits))
    result["checks"] = checks(pairs, dict(zip(changes, scores.tolist(), strict=True)), calibration.threshold)
    write_json(FIGURES, result)
    write_reference(RESULTS, logits, scored.labels)
    write_predictions(RESULTS / "predictions.parquet", scored)


if __name__ == "__main__":
    run_stage(main)
