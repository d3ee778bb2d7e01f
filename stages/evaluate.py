"""Score the test pairs, once, at the calibrated operating point; write metrics, plots and predictions."""

from pathlib import Path

from fluency.calibration import Calibration
from fluency.evaluation import predict_pairs, scored, write_results
from fluency.files import read_parquet, write_json
from fluency.params import load_params
from fluency.report import write_plots
from stages import run

MODEL, CALIBRATION = Path("models/fluency"), Path("models/calibration.json")
TEST, FIGURES, PLOTS, RESULTS = (
    Path("data/pairs/test.parquet"),
    Path("metrics/test.json"),
    Path("metrics/plots"),
    Path("results"),
)


def main() -> None:
    params = load_params()
    pairs = read_parquet(TEST)
    calibration = Calibration.load(CALIBRATION)
    logits, _ = predict_pairs(MODEL, pairs, max_length=params.train.max_length, progress="test")
    write_json(FIGURES, scored(logits, pairs, calibration, params.evaluate))
    write_plots(PLOTS, logits, pairs, calibration)
    write_results(RESULTS, logits, pairs, calibration)


if __name__ == "__main__":
    run(main)
