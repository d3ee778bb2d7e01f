"""The threshold is the one that `decision` asks for, and says what is certain of it."""

import numpy as np
import pytest

from fluency.evaluation.certificate import Certificate
from fluency.evaluation.operating_point import choose
from fluency.evaluation.params import DecisionParams
from fluency.metrics import point_metrics, precision_at_recall
from fluency.utils.errors import UserError


def decision(min_recall=None, min_precision=None, threshold=None, confidence=None):
    return DecisionParams(min_recall, min_precision, threshold, confidence)


def validation(count: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores that are probabilities, labels, groups."""
    rng = np.random.default_rng(1)
    scores = 1 / (1 + np.exp(-rng.normal(0, 3, count)))
    return scores, (rng.random(count) < scores).astype(int), np.arange(count)


def test_the_threshold_is_the_most_precise_at_the_recall():
    scores, labels, groups = validation()
    point = point_metrics(scores >= choose(scores, labels, groups, decision(min_recall=0.6)).threshold, labels)
    assert point["recall"] >= 0.6
    assert point["precision"] == precision_at_recall(scores, labels, 0.6)


def test_the_threshold_has_the_most_recall_at_the_precision():
    scores, labels, groups = validation()
    threshold = choose(scores, labels, groups, decision(min_precision=0.9)).threshold
    assert point_metrics(scores >= threshold, labels)["precision"] >= 0.9
    others = (point_metrics(scores >= other, labels) for other in scores[scores < threshold])
    assert max(other["precision"] for other in others) < 0.9


def test_a_recall_that_is_just_reached_is_enough():
    scores, labels = np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1])
    assert choose(scores, labels, labels, decision(min_recall=0.5)).threshold == 0.9
    assert choose(scores, labels, labels, decision(min_precision=2 / 3)).threshold == 0.7


def test_a_named_threshold_is_taken_as_it_is_and_certified_too():
    point = choose(*validation(), decision(threshold=0.875))
    assert point.threshold == 0.875
    assert 0.6 <= point.certificate.bound < 0.95
    assert choose(*validation(), decision(threshold=1.0)).certificate.bound == 0


def test_a_certified_precision_costs_recall_and_is_the_bound():
    scores, labels, groups = validation(1200)
    found, sure = (choose(scores, labels, groups, decision(min_precision=0.9, confidence=c)) for c in (None, 0.95))
    assert sure.threshold > found.threshold
    assert (sure.certificate.bound, sure.certificate.target, sure.note) == (0.9, 0.9, "")
    assert str(sure.certificate) == "precision at least 0.9 with 95 % confidence, on text like validation"


def test_a_certified_recall_costs_precision():
    scores, labels, groups = validation(1200)
    found, sure = (choose(scores, labels, groups, decision(min_recall=0.7, confidence=c)) for c in (None, 0.95))
    assert sure.threshold < found.threshold
    assert str(sure.certificate) == "recall at least 0.7 with 95 % confidence, on text like validation"
    none = choose(scores, labels, groups, decision(min_recall=1.0, confidence=0.95))
    assert none.note.startswith("decision.min_recall: a recall of 1 is not certified with 95 % confidence; ")
    assert point_metrics(scores >= none.threshold, labels)["recall"] == 1
    assert not none.certificate.holds


def test_what_cannot_be_certified_is_chosen_as_strictly_and_marked():
    scores, labels, groups = validation(1200)
    point = choose(scores, labels, groups, decision(min_precision=0.98, confidence=0.95))
    assert point.threshold == choose(scores, labels, groups, decision(min_precision=0.98)).threshold
    assert not point.certificate.holds
    assert str(point.certificate).startswith(
        "not certified: precision at least 0.98 is not sure with 95 % confidence; "
    )
    assert "\n" not in point.note
    assert "the highest that is, is 0.9" in point.note
    assert "validation pairs like these 1,200 would do" in point.note


def test_a_precision_that_validation_never_has_falls_back_to_the_most_precise_threshold():
    scores, labels = np.array([0.9, 0.8, 0.7] * 20), np.array([1, 0, 0] * 20)
    scores[0], labels[0] = 0.95, 0
    point = choose(scores, labels, np.arange(60), decision(min_precision=1.0, confidence=0.95))
    assert point.threshold == 0.9
    assert point.note.endswith("no number of pairs like these 60 would do")
    with pytest.raises(
        UserError, match=r"decision.min_precision: no threshold .* of 1.0; the best has 0.950 at recall 1"
    ):
        choose(scores, labels, np.arange(60), decision(min_precision=1.0))


def test_few_groups_certify_nothing_however_good_they_are():
    """Ten groups, of a hundred pairs that are all right."""
    scores, labels = np.linspace(0.1, 1, 200), np.repeat([0, 1], 100)
    point = choose(scores, labels, np.arange(200) % 10, decision(min_recall=0.9))
    assert str(point.certificate).endswith("confidence; validation has 10 accepted groups, and 30 are the least")
    assert not point.certificate.holds
    assert choose(scores, labels, np.arange(200), decision(min_recall=0.9)).certificate.bound >= 0.9


def test_without_a_fluent_pair_there_is_nothing_to_choose_by():
    scores, labels = np.array([0.2, 0.4]), np.array([0, 0])
    for rule in (decision(min_recall=0.1), decision(min_precision=0.5, confidence=0.9)):
        with pytest.raises(UserError, match="no pair with label 1"):
            choose(scores, labels, labels, rule)
    assert choose(scores, labels, labels, decision(threshold=0.3)).certificate.bound == 0


def test_one_rule_is_needed_and_not_two():
    with pytest.raises(UserError, match="the others null; none given"):
        decision()
    with pytest.raises(UserError, match="the others null; min_recall and min_precision given"):
        decision(min_recall=0.5, min_precision=0.5)
    with pytest.raises(UserError, match=r"decision.threshold: must be between 0 and 1"):
        decision(threshold=1.5)
    for given in ({}, {"threshold": 0.9}):
        with pytest.raises(
            UserError, match=r"decision.confidence: needs decision.min_precision or decision.min_recall"
        ):
            decision(**given, confidence=0.95)
    for wrong in (0.0, 1.0, 95.0):
        with pytest.raises(UserError, match=r"decision.confidence: must be above 0 and below 1"):
            decision(min_recall=0.5, confidence=wrong)


def test_a_certificate_that_was_not_asked_for_says_so():
    assert (
        str(Certificate("precision", None, 0.9, 0.0, 80)) == "not certified: no precision is sure with 90 % confidence"
    )
