"""Temperature and threshold come from validation and do what they say."""

import numpy as np
import pytest

from fluency.calibration import Calibration, calibrate, fit_temperature
from fluency.errors import UserError
from fluency.metrics import point_metrics, probabilities


def overconfident(factor: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    margin = rng.normal(0, 2, count)
    labels = (rng.random(count) < 1 / (1 + np.exp(-margin))).astype(int)
    return np.stack([-margin / 2, margin / 2], axis=1) * factor, labels


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_the_temperature_undoes_overconfidence(factor):
    assert fit_temperature(*overconfident(factor)) == pytest.approx(factor, rel=0.05)


def test_separable_logits_still_give_a_finite_temperature():
    logits = np.array([[5.0, -5.0], [-5.0, 5.0]])
    assert 0.05 <= fit_temperature(logits, np.array([0, 1])) <= 20


def test_the_threshold_keeps_the_recall():
    logits, labels = overconfident(2.0, 2_000)
    calibration = calibrate(logits, labels, min_recall=0.6)
    point = point_metrics(probabilities(logits, calibration.temperature) >= calibration.threshold, labels)
    assert point["recall"] >= 0.6
    assert point["precision"] > point_metrics(probabilities(logits) > 0.5, labels)["precision"]


def test_a_calibration_is_the_same_after_saving(tmp_path):
    calibration = Calibration(1.2345678901234567, 0.9)
    calibration.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == calibration


def test_a_foreign_file_is_refused(tmp_path):
    (tmp_path / "c.json").write_text('{"temperature": "hot"}')
    with pytest.raises(UserError, match="temperature and threshold are needed"):
        Calibration.load(tmp_path / "c.json")
