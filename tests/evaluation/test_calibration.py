"""Slope, intercept and threshold come from validation and do what they say."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluency.evaluation.calibration import Calibration, calibrate, fit_platt
from fluency.metrics import negative_log_likelihood, probabilities
from fluency.utils.errors import UserError
from tests.evaluation.test_operating_point import decision


def drawn(slope: float = 0.5, intercept: float = 0.0, count: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose calibration is known, and labels."""
    rng = np.random.default_rng(1)
    log_odds = rng.normal(0, 2, count)
    labels = (rng.random(count) < 1 / (1 + np.exp(-log_odds))).astype(int)
    margin = (log_odds - intercept) / slope
    return np.stack([-margin / 2, margin / 2], axis=1), labels


def fitted(logits, labels, rule) -> Calibration:
    groups = np.arange(len(labels))
    files = {"model.safetensors": "0" * 64}
    changes = [("She go home.", "She goes home." if label else "She goes to a home.") for label in labels]
    return calibrate(logits, labels, groups, rule, max_length=128, files=files, changes=changes)[0]


@pytest.mark.parametrize(("slope", "intercept"), [(0.5, 0.0), (1.0, 0.7), (4.0, -1.5)])
def test_slope_and_intercept_are_those_of_the_labels(slope, intercept):
    found = fit_platt(*drawn(slope, intercept, 20_000))
    assert found == pytest.approx((slope, intercept), rel=0.05, abs=0.05)


@given(st.lists(st.tuples(st.floats(-30, 30), st.integers(0, 1)), min_size=1, max_size=30))
def test_whatever_the_logits_scores_are_finite_and_keep_their_order(rows):
    margins, labels = np.array([margin for margin, _ in rows]), np.array([label for _, label in rows])
    slope, intercept = fit_platt(np.stack([np.zeros(len(rows)), margins], axis=1), labels)
    assert np.isfinite(intercept)
    assert 0.04 < slope < 21
    order = np.argsort(margins, kind="stable")
    assert (
        np.diff(probabilities(np.stack([np.zeros(len(rows)), margins], axis=1), slope, intercept)[order]) >= 0
    ).all()


def test_the_intercept_lowers_the_log_loss_where_one_label_is_favoured():
    logits, labels = drawn(0.5, -1.0)
    slope, intercept = fit_platt(logits, labels)
    both = negative_log_likelihood(probabilities(logits, slope, intercept), labels)
    assert both < negative_log_likelihood(probabilities(logits, slope), labels) - 0.02


def test_a_model_that_gives_no_numbers_is_refused_in_one_line():
    logits, labels = drawn(count=50)
    logits[7, 0] = logits[9, 1] = np.nan
    with pytest.raises(
        UserError, match=r"^validation: 2 of 50 pairs have no score, the first in row 7; .* train it again"
    ):
        fitted(logits, labels, decision(min_recall=0.5))


def test_the_operating_point_is_the_calibrated_one_unless_another_is_asked_for():
    calibration = fitted(*drawn(), decision(threshold=0.7))
    assert calibration.threshold_at() == 0.7
    assert [calibration.threshold_at(threshold=one) for one in (0, 0.2, 1)] == [0, 0.2, 1]
    with pytest.raises(ValueError, match="threshold and min_precision: give one of them"):
        calibration.threshold_at(threshold=0.2, min_precision=0.5)
    for wrong in (-0.1, 2, float("nan")):
        with pytest.raises(ValueError, match="threshold: must be between 0 and 1"):
            calibration.threshold_at(threshold=wrong)


def test_a_precision_is_asked_for_as_found_or_with_a_confidence():
    logits, labels = drawn()
    calibration = fitted(logits, labels, decision(min_precision=0.9, confidence=0.95))
    found, sure, surer = (
        calibration.threshold_at(min_precision=0.9, confidence=confidence) for confidence in (None, 0.95, 0.999)
    )
    assert found < sure == calibration.threshold < surer
    assert fitted(logits, labels, decision(min_precision=0.9)).threshold == found
    assert calibration.certified_thresholds()[0.9] == sure
    with pytest.raises(
        UserError, match=r"^min_precision: a precision of 0.999 is not certified with 95 % confidence; the"
    ):
        calibration.threshold_at(min_precision=0.999, confidence=0.95)
    with pytest.raises(UserError, match=r"^min_precision: no threshold has a validation precision of 0.95; the best"):
        replace(calibration, curve={**calibration.curve, "precision": [0.5] * 500}).threshold_at(min_precision=0.95)
    with pytest.raises(ValueError, match="confidence: needs min_precision"):
        calibration.threshold_at(confidence=0.95)
    for wrong in (0, 1, 95):
        with pytest.raises(ValueError, match="confidence: must be above 0 and below 1"):
            calibration.threshold_at(min_precision=0.9, confidence=wrong)


def test_support_and_reference_are_of_what_was_measured():
    calibration = fitted(*drawn(), decision(threshold=0.7))
    assert calibration.support.bounds == {
        "words": (3, 3), "characters": (0, 14), "changed": (0, 1), "share": (0, 0.25), "out_of_vocabulary": (0, 0),
    }  # fmt: skip
    assert calibration.support.vocabulary == {"she", "go", "goes", "home"}
    assert calibration.reference.edges["words"] == [3.0]


def test_a_calibration_is_the_same_after_saving(tmp_path):
    calibration = fitted(*drawn(), decision(min_recall=0.6))
    calibration.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == calibration


@pytest.mark.parametrize("change", ["text", "temperature", "no reference"])
def test_a_foreign_file_and_an_older_one_are_refused_with_what_helps_who_made_it_and_who_has_it(tmp_path, change):
    path = tmp_path / "c.json"
    fitted(*drawn(), decision(min_recall=0.6)).save(path)
    values = json.loads(path.read_text())
    if change == "no reference":
        del values["reference"]
    path.write_text(json.dumps({"text": [], "temperature": {"temperature": 1.4, "threshold": 0.9}}.get(change, values)))
    names = "slope, intercept, threshold, certificate, curve, max_length, files, support, reference"
    with pytest.raises(
        UserError, match=rf"c\.json: is of an older version, or broken, as {names} are needed; `dvc"
    ) as no:
        Calibration.load(path)
    assert str(no.value).endswith(
        "`dvc repro calibrate` writes it anew, and a model that was exported has to be exported again"
    )
