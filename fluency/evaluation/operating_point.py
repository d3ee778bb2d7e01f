"""The threshold that `decision` asks for, chosen on validation, and what is certain of it."""

from dataclasses import dataclass

import numpy as np

from fluency.evaluation.certificate import (
    CONFIDENCE,
    MIN_GROUPS,
    Certificate,
    Curve,
    certified,
    certified_curve,
    shortfall,
)
from fluency.evaluation.params import DecisionParams
from fluency.evaluation.proportions import effective_size, lower_bound
from fluency.utils.errors import UserError


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold.

    Attributes:
        threshold: a pair is accepted when its score is at or above it.
        certificate: what is certain there.
        curve: what all thresholds accept (`certificate.certified_curve`).
        note: in one line, why what was asked for with a confidence is not certified; empty where it is.
    """

    threshold: float
    certificate: Certificate
    curve: Curve
    note: str = ""


def choose(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, decision: DecisionParams) -> OperatingPoint:
    """The threshold with the most recall at a precision, the most precise at a recall, or the one that is named.

    With `decision.confidence`, the precision or recall is certified. What cannot be is found by the same rule without
    the confidence; where no threshold is as precise, the most precise one is taken.

    Args:
        scores, labels, groups: of validation's pairs, of shape [pairs].

    Raises:
        UserError: no pair has label 1, or without a confidence no threshold is as precise as `decision.min_precision`.
    """
    if decision.threshold is None and not labels.any():
        raise UserError("validation has no pair with label 1 to choose the threshold by; give decision.threshold")
    confidence = decision.confidence or CONFIDENCE
    curve = certified_curve(scores, labels, groups, confidence=confidence, named=decision.threshold)
    if decision.min_recall is not None and decision.confidence:
        return _by_certain_recall(curve, scores, labels, groups, decision.min_recall, confidence)
    if decision.min_precision is not None and decision.confidence:
        return _by_certain_precision(curve, decision.min_precision, confidence)
    if decision.threshold is not None:
        row = curve["threshold"].index(decision.threshold)
    elif decision.min_precision is not None:
        row = most_recall(curve, decision.min_precision, "decision.min_precision")
    else:
        row = _most_precise(curve, np.array(curve["recall"]) >= decision.min_recall)
    return _point(curve, row, "precision", None, confidence, curve["lower"][row])


def most_recall(curve: Curve, min_precision: float, name: str) -> int:
    """The point of a curve with the most recall at a precision.

    Raises:
        UserError: no point is as precise; the message begins with `name` and tells of the most precise one.
    """
    precise = np.flatnonzero(np.array(curve["precision"]) >= min_precision)
    if len(precise):
        return max(precise, key=lambda row: (curve["recall"][row], curve["precision"][row]))
    best = _most_precise(curve, np.array(curve["threshold"]) >= 0)
    raise UserError(
        f"{name}: no threshold has a validation precision of {min_precision}; the best has "
        f"{curve['precision'][best]:.3f} at recall {curve['recall'][best]:.3f}"
    )


def _most_precise(curve: Curve, among: np.ndarray) -> int:
    return max(np.flatnonzero(among), key=lambda row: (curve["precision"][row], curve["recall"][row]))


def _by_certain_precision(curve: Curve, target: float, confidence: float) -> OperatingPoint:
    if rows := certified(curve, target, confidence):
        return _point(curve, rows[-1], "precision", target, confidence, target)
    row = most_recall(curve, min(target, max(curve["precision"])), "decision.min_precision")
    note = f"decision.min_precision: {shortfall(curve, target, confidence)}"
    return _point(curve, row, "precision", target, confidence, curve["lower"][row], note)


def _by_certain_recall(
    curve: Curve, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, target: float, confidence: float
) -> OperatingPoint:
    """Tested in a fixed sequence as precision is, but from the most lenient threshold up."""
    fluent = labels == 1
    _, group = np.unique(groups[fluent], return_inverse=True)
    trials = np.bincount(group)
    hits = [np.bincount(group, weights=scores[fluent] >= threshold) for threshold in curve["threshold"]]
    sizes = np.array([effective_size(its, trials) for its in hits])
    failed = np.flatnonzero(lower_bound(np.array(curve["recall"]), sizes, confidence) < target)
    first = int(failed[-1]) + 1 if len(failed) else 0
    if first < len(sizes) and len(trials) >= MIN_GROUPS:
        row = _most_precise(curve, np.arange(len(sizes)) >= first)
        return _point(curve, row, "recall", target, confidence, target)
    row = _most_precise(curve, np.array(curve["recall"]) >= target)
    note = (
        f"decision.min_recall: a recall of {target:g} is not certified with {100 * confidence:g} % confidence; "
        f"{len(trials)} groups of validation have label 1"
    )
    return _point(curve, row, "recall", target, confidence, 0.0, note)


def _point(
    curve: Curve, row: int, figure: str, target: float | None, confidence: float, bound: float, note: str = ""
) -> OperatingPoint:
    certificate = Certificate(figure, target, confidence, bound, curve["groups"][row])
    return OperatingPoint(curve["threshold"][row], certificate, curve, note)
