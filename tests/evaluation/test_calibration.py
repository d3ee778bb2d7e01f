"""Temperature and threshold come from validation and do what they say."""

import numpy as np
import pytest

from fluency.evaluation.calibration import Calibration, calibrate, choose_threshold, fit_temperature
from fluency.evaluation.params import DecisionParams
from fluency.metrics import point_metrics, precision_at_recall, probabilities
from fluency.utils.errors import UserError
from tests.helpers.models import SUPPORT


def overconfident(factor: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    margin = rng.normal(0, 2, count)
    labels = (rng.random(count) < 1 / (1 + np.exp(-margin))).astype(int)
    return np.stack([-margin / 2, margin / 2], axis=1) * factor, labels


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_the_temperature_undoes_overconfidence(factor):
    assert fit_temperature(*overconfident(factor)) == pytest.approx(factor, rel=0.05)


def test_logits_that_are_always_right_or_wrong_still_give_a_finite_temperature():
    logits = np.array([[0.2, -0.2], [-0.2, 0.2]])
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(0.05)
    assert fit_temperature(logits, np.array([1, 0])) == pytest.approx(20)


def test_the_threshold_is_the_most_precise_at_the_recall():
    logits, labels = overconfident(2.0, 2_000)
    calibration = fitted(logits, labels, decision(min_recall=0.6))
    scores = probabilities(logits, calibration.temperature)
    point = point_metrics(scores >= calibration.threshold, labels)
    assert point["recall"] >= 0.6
    assert point["precision"] == precision_at_recall(scores, labels, 0.6)


def test_the_threshold_has_the_most_recall_at_the_precision():
    logits, labels = overconfident(2.0, 2_000)
    calibration = fitted(logits, labels, decision(min_precision=0.9))
    scores = probabilities(logits, calibration.temperature)
    point = point_metrics(scores >= calibration.threshold, labels)
    assert point["precision"] >= 0.9
    others = (point_metrics(scores >= threshold, labels) for threshold in scores[scores < calibration.threshold])
    assert max(other["precision"] for other in others) < 0.9
    assert calibration.threshold_at(min_precision=0.9) == calibration.threshold


def test_a_recall_that_is_just_reached_is_enough():
    scores, labels = np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1])
    assert choose_threshold(scores, labels, decision(min_recall=0.5)) == 0.9
    assert choose_threshold(scores, labels, decision(min_precision=2 / 3)) == 0.7


def test_a_fixed_threshold_is_taken_as_it_is():
    logits, labels = overconfident(2.0, 200)
    assert fitted(logits, labels, decision(threshold=0.7)).threshold == 0.7


def test_what_validation_never_reaches_is_refused_with_what_it_does():
    logits, labels = np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1])
    with pytest.raises(
        UserError, match=r"decision.min_precision: no threshold .* of 0.9; the best has 0.667 at recall"
    ):
        fitted(logits, labels, decision(min_precision=0.9))
    with pytest.raises(UserError, match=r"^min_precision: no threshold"):
        fitted(logits, labels, decision(min_recall=0.1)).threshold_at(min_precision=0.9)
    with pytest.raises(UserError, match="no pair with label 1"):
        fitted(logits, np.zeros(3, int), decision(min_recall=0.1))


def test_one_rule_is_needed_and_not_two():
    with pytest.raises(UserError, match="the others null; none given"):
        decision()
    with pytest.raises(UserError, match="the others null; min_recall and min_precision given"):
        decision(min_recall=0.5, min_precision=0.5)
    with pytest.raises(UserError, match=r"decision.threshold: must be between 0 and 1"):
        decision(threshold=1.5)


def fitted(logits, labels, decision):
    files = {"model.safetensors": "0" * 64}
    return calibrate(logits, labels, decision, max_length=128, files=files, support=SUPPORT)


def decision(min_recall=None, min_precision=None, threshold=None):
    return DecisionParams(min_recall, min_precision, threshold)


def test_the_operating_point_is_the_calibrated_one_unless_another_is_asked_for():
    calibration = fitted(*overconfident(2.0, 200), decision(threshold=0.7))
    assert calibration.threshold_at() == 0.7
    assert [calibration.threshold_at(threshold=one) for one in (0, 0.2, 1)] == [0, 0.2, 1]
    with pytest.raises(ValueError, match="threshold and min_precision: give one of them"):
        calibration.threshold_at(threshold=0.2, min_precision=0.5)
    for wrong in (-0.1, 2, float("nan")):
        with pytest.raises(ValueError, match="threshold: must be between 0 and 1"):
            calibration.threshold_at(threshold=wrong)


def test_a_calibration_is_the_same_after_saving(tmp_path):
    logits, labels = overconfident(2.0, 200)
    calibration = fitted(logits, labels, decision(min_recall=0.6))
    calibration.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == calibration


def test_a_foreign_file_is_refused(tmp_path):
    (tmp_path / "c.json").write_text('{"temperature": "hot"}')
    with pytest.raises(UserError, match="temperature, threshold, curve, max_length, files, support are needed"):
        Calibration.load(tmp_path / "c.json")
