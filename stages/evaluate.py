"""Score the test pairs, once, at the calibrated operating point; write metrics, plots, predictions and the report."""

from pathlib import Path

from fluency.evaluation.behaviour import checked_changes, checks
from fluency.evaluation.calibration import Calibration
from fluency.evaluation.predictions import join, write_predictions, write_reference
from fluency.evaluation.scored_pairs import ScoredPairs, figures
from fluency.evaluation.slices import sentence_keys, slices
from fluency.metrics import probabilities
from fluency.model.inference import predict
from fluency.params import load_params
from fluency.report.page import Entry, write_report
from fluency.report.pictures import training_curves, write_pictures
from fluency.report.plot_data import write_plots
from fluency.utils.files import read_json, read_parquet, write_json
from stages import run

MODEL, CALIBRATION = Path("models/fluency"), Path("models/calibration.json")
TRAIN, TEST = Path("data/pairs/train.parquet"), Path("data/pairs/test.parquet")
FIGURES, PLOTS, PICTURES = Path("metrics/test.json"), Path("metrics/plots"), Path("metrics/pictures")
BASELINE, RESULTS = Path("metrics/baseline.json"), Path("results")


def main() -> None:
    params = load_params()
    pairs, calibration = read_parquet(TEST), Calibration.load(CALIBRATION)
    changes = [*((pair["before"], pair["after"]) for pair in pairs), *checked_changes(pairs)]
    every_logit = predict(MODEL, changes, max_length=params.train.max_length, progress="test")
    scores = dict(zip(changes, probabilities(every_logit, calibration.temperature).tolist(), strict=True))
    logits = every_logit[: len(pairs)]
    scored = ScoredPairs(pairs, probabilities(logits, calibration.temperature), calibration.threshold)
    uncalibrated = probabilities(logits)
    result = figures(scored, params.evaluate, uncalibrated=uncalibrated)
    result["checks"] = checks(pairs, scores, calibration.threshold)
    train = read_parquet(TRAIN, columns=["before", "after"])
    by_slice = slices(scored, sentence_keys(text for pair in train for text in pair.values()), params.evaluate)
    write_json(FIGURES, result)
    plots = write_plots(PLOTS, scored, uncalibrated, by_slice)
    pictures = write_pictures(PICTURES, plots | training_curves(PLOTS))
    write_reference(RESULTS, logits, scored.labels)
    write_predictions(RESULTS / "predictions.parquet", scored)
    baseline = join(read_parquet(RESULTS / "baseline.parquet"), pairs, "baseline.parquet")
    entries = [Entry("model", scored, result), Entry("baseline", baseline, read_json(BASELINE))]
    write_report(RESULTS / "report.html", entries, params.evaluate, slices=by_slice, pictures=pictures)


if __name__ == "__main__":
    run(main)
