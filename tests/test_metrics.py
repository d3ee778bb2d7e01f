"""Figures agree with scikit-learn, are always finite, and intervals cover what they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from fluency import metrics

SCORED = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1), st.integers(0, 1)), min_size=1
)


def arrays(rows):
    return np.array([score for score, _ in rows]), np.array([label for _, label in rows])


@given(SCORED)
def test_point_metrics_agree_with_scikit_learn(rows):
    scores, labels = arrays(rows)
    predicted = scores > 0.5
    ours = metrics.point_metrics(predicted, labels)
    options = {"zero_division": 0.0}
    assert ours["precision"] == pytest.approx(sk.precision_score(labels, predicted, **options), abs=1e-12)
    assert ours["recall"] == pytest.approx(sk.recall_score(labels, predicted, **options), abs=1e-12)
    assert ours["f1"] == pytest.approx(sk.f1_score(labels, predicted, **options), abs=1e-12)
    assert ours["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted), abs=1e-12)


@given(SCORED)
def test_figures_of_scores_agree_with_scikit_learn(rows):
    scores, labels = arrays(rows)
    ours = metrics.points(scores, labels, scores >= 0.75)
    assert ours["brier"] == pytest.approx(sk.brier_score_loss(labels, scores), abs=1e-12)
    if labels.any():
        assert ours["average_precision"] == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-12)
    if 0 < labels.sum() < len(labels):
        assert ours["roc_auc"] == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    for prefix, predicted in (("", scores > 0.5), ("operating_point.", scores >= 0.75)):
        precision = sk.precision_score(labels, predicted, zero_division=0.0)
        assert ours[f"{prefix}precision"] == pytest.approx(precision, abs=1e-12)
        assert ours[f"{prefix}accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted), abs=1e-12)


@given(SCORED)
def test_every_figure_is_finite_whatever_the_scores(rows):
    scores, labels = arrays(rows)
    assert all(np.isfinite(value) for value in metrics.points(scores, labels, scores >= 0.5).values())


@given(SCORED, st.sampled_from([0.0, 1 / 3, 0.5, 2 / 3, 1.0]) | st.floats(0, 1))
def test_precision_at_a_recall_is_the_best_of_all_thresholds(rows, floor):
    scores, labels = arrays(rows)
    allowed = [p["precision"] for p in at_every_threshold(scores, labels) if labels.any() and p["recall"] >= floor]
    assert metrics.precision_at_recall(scores, labels, floor) == max(allowed, default=0)


def at_every_threshold(scores, labels):
    return [metrics.point_metrics(scores >= threshold, labels) for threshold in scores]


def test_precision_is_zero_when_nothing_is_predicted_fluent():
    assert metrics.point_metrics(np.zeros(3), np.array([0, 1, 1]))["precision"] == 0


def test_figures_are_known_where_one_label_is_missing():
    scores, fluent, harmed = np.array([0.2, 0.9]), np.array([1, 1]), np.array([0, 0])
    assert metrics.average_precision(scores, harmed) == 0
    assert metrics.precision_at_recall(scores, harmed, 0.5) == 0
    assert metrics.roc_auc(scores, harmed) == metrics.roc_auc(scores, fluent) == 0.5
    assert metrics.negative_log_likelihood(scores, fluent) == pytest.approx(-np.log(scores).mean())
    assert metrics.negative_log_likelihood(scores, harmed) == pytest.approx(-np.log(1 - scores).mean())


def test_probabilities_are_softmax_without_overflow():
    logits = np.array([[0.3, 1.2], [1000.0, -1000.0], [-1000.0, 1000.0], [2.0, 2.0]], dtype=np.float32)
    assert metrics.probabilities(logits) == pytest.approx([1 / (1 + np.exp(-0.9)), 0, 1, 0.5], abs=1e-6)
    assert metrics.probabilities(logits[:1], 0.5, 0.2)[0] == pytest.approx(1 / (1 + np.exp(-0.65)), abs=1e-6)


def test_calibration_error_of_known_bins():
    scores = np.array([0.05, 0.05, 0.95, 0.95])
    labels = np.array([0, 0, 1, 0])
    assert metrics.expected_calibration_error(scores, labels) == pytest.approx((0.05 + 0.45) / 2)
    ten_bins_join_these = np.array([0.05, 0.095]), np.array([0, 1])
    assert metrics.expected_calibration_error(*ten_bins_join_these) == pytest.approx(0.5 - 0.0725)
    assert metrics.reliability(np.array([0.9, 1.0]), np.array([1, 1])) == [{"score": 0.95, "fluent": 1.0, "pairs": 2}]
    assert len(metrics.reliability(*ten_bins_join_these)) == 1
    assert [row["score"] for row in metrics.reliability(np.array([0.95, 0.85]), np.array([1, 1]))] == [0.85, 0.95]
