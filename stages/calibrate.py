"""Learn the temperature and the operating point from the validation pairs."""

from pathlib import Path

from fluency.calibration import calibrate
from fluency.evaluation import predict_pairs, scored
from fluency.files import read_parquet, write_json
from fluency.params import load_params
from stages import run

MODEL, VALIDATION = Path("models/fluency"), Path("data/pairs/validation.parquet")
CALIBRATION, FIGURES = Path("models/calibration.json"), Path("metrics/validation.json")


def main() -> None:
    params = load_params()
    pairs = read_parquet(VALIDATION)
    logits, labels = predict_pairs(MODEL, pairs, max_length=params.train.max_length, progress="validation")
    calibration = calibrate(logits, labels, params.decision)
    calibration.save(CALIBRATION)
    write_json(FIGURES, scored(logits, pairs, calibration, params.evaluate))
    print(f"temperature {calibration.temperature:.3f}, threshold {calibration.threshold:.3f}")


if __name__ == "__main__":
    run(main)
