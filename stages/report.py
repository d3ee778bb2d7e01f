"""Draw what evaluation found: the plots' data, pictures of them, and the page to read. No model runs."""

from pathlib import Path

from fluency.evaluation.calibration import Calibration
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.predictions import read_logits
from fluency.evaluation.slices import sentence_keys, slices
from fluency.metrics import probabilities
from fluency.report.page import read_entries, write_report
from fluency.report.pictures import training_curves, write_pictures
from fluency.report.plot_data import write_plots
from fluency.utils.config import read_params
from fluency.utils.files import read_json, read_parquet
from fluency.utils.processes import run_stage

TRAIN, TEST = Path("data/pairs/train.parquet"), Path("data/pairs/test.parquet")
METRICS, RESULTS, CALIBRATION = Path("metrics"), Path("results"), Path("models/calibration.json")
PLOTS, PICTURES = METRICS / "plots", METRICS / "pictures"


def main() -> None:
    params, pairs = read_params("evaluate", EvaluateParams), read_parquet(TEST)
    entries = read_entries(pairs, RESULTS, METRICS)
    model = entries[0]
    train = read_parquet(TRAIN, columns=["before", "after"])
    by_slice = slices(model.scored, sentence_keys(text for pair in train for text in pair.values()))
    uncalibrated = probabilities(read_logits(RESULTS / "predictions.txt"))
    plots = write_plots(PLOTS, model.scored, uncalibrated, by_slice)
    pictures = write_pictures(PICTURES, plots | training_curves(PLOTS))
    write_report(
        RESULTS / "report.html", entries, params, calibration=Calibration.load(CALIBRATION), slices=by_slice,
        challenge=read_json(METRICS / "challenge.json"), attack=read_json(METRICS / "attack.json"), pictures=pictures,
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
