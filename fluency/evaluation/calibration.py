"""How logits become scores and scores become decisions, learnt from validation alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from fluency.edits.forms import Change
from fluency.evaluation.certificate import SHOWN, Certificate, Curve, certified, shortfall
from fluency.evaluation.monitor import Reference, features, reference_of
from fluency.evaluation.operating_point import choose, most_recall
from fluency.evaluation.params import DecisionParams
from fluency.evaluation.support import Support, measures, support_of
from fluency.metrics import probabilities
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, write_json

_CURVE = ("threshold", "precision", "recall", "accepted", "groups", "effective", "lower")


@dataclass(frozen=True)
class Calibration:
    """How logits become scores and scores become decisions.

    Attributes:
        slope, intercept: of the score's log-odds, from the difference of the logits (Platt 1999).
        threshold: a pair is accepted when its score is at or above it.
        certificate: what holds there.
        curve: what other thresholds accept of validation (`certificate.certified_curve`).
        max_length: tokens of the longest pair that the model reads whole.
        files: the SHA-256 of each file of the model that was calibrated, by its name.
        support: what validation's fluent edits looked like.
        reference: what validation's edits looked like, and their scores, for a `Monitor`.
    """

    slope: float
    intercept: float
    threshold: float
    certificate: Certificate
    curve: Curve
    max_length: int
    files: Mapping[str, str]
    support: Support
    reference: Reference

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """The calibrated probabilities of label 1, of shape [n], from logits of shape [n, 2]."""
        return probabilities(logits, self.slope, self.intercept)

    def threshold_at(
        self, *, threshold: float | None = None, min_precision: float | None = None, confidence: float | None = None
    ) -> float:
        """The threshold of an operating point: the calibrated one, or the one asked for.

        Args:
            threshold: this one.
            min_precision: the one with the best validation recall at a validation precision of at least this.
            confidence: the one with the best recall whose true precision is at least `min_precision` with this
                confidence, on text like validation.

        Raises:
            UserError: no threshold is as precise, or certified to be; the message says what could be had.
        """
        if threshold is not None and min_precision is not None:
            raise ValueError("threshold and min_precision: give one of them")
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"threshold: must be between 0 and 1; found {threshold}")
        if confidence is not None and min_precision is None:
            raise ValueError("confidence: needs min_precision, which is to hold with it")
        if confidence is not None and not 0 < confidence < 1:
            raise ValueError(f"confidence: must be above 0 and below 1; found {confidence}")
        if min_precision is None:
            return self.threshold if threshold is None else threshold
        if confidence is None:
            return self.curve["threshold"][most_recall(self.curve, min_precision, "min_precision")]
        points = certified(self.curve, min_precision, confidence)
        if not points:
            raise UserError(f"min_precision: {shortfall(self.curve, min_precision, confidence)}")
        return self.curve["threshold"][points[-1]]

    def certified_thresholds(self) -> dict[float, float]:
        """The certified threshold of each precision that everybody is told of, where it has one."""
        confidence = self.certificate.confidence
        found = {target: certified(self.curve, target, confidence) for target in SHOWN}
        return {target: self.curve["threshold"][rows[-1]] for target, rows in found.items() if rows}

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        values = asdict(self)
        values["support"]["vocabulary"] = sorted(self.support.vocabulary)
        write_json(path, values)

    @classmethod
    def load(cls, path: str | Path) -> "Calibration":
        """Read it from JSON.

        Raises:
            UserError: the file is missing, of an older version, or holds something else.
        """
        values = read_json(path)
        try:
            return cls(
                slope=float(values["slope"]),
                intercept=float(values["intercept"]),
                threshold=float(values["threshold"]),
                certificate=Certificate(**values["certificate"]),
                curve={name: [float(value) for value in values["curve"][name]] for name in _CURVE},
                max_length=values["max_length"],
                files={str(name): str(digest) for name, digest in values["files"].items()},
                support=Support.of(values["support"]),
                reference=Reference.of(values["reference"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            names = ", ".join(f.name for f in fields(cls))
            raise UserError(
                f"{path}: is of an older version, or broken, as {names} are needed; `dvc repro calibrate` writes it "
                "anew, and a model that was exported has to be exported again"
            ) from None


def calibrate(
    logits: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    decision: DecisionParams,
    *,
    max_length: int,
    files: Mapping[str, str],
    changes: Sequence[Change],
) -> tuple[Calibration, str]:
    """Fit slope, intercept and threshold on validation.

    Args:
        logits: of shape [n, 2].
        labels: of shape [n], 0 or 1.
        groups: of shape [n].
        max_length, files: of the model that gave the logits, as in `Calibration`.
        changes: of the pairs.

    Returns:
        The calibration, and in one line why what `decision` asks for is not certified, else "".

    Raises:
        UserError: a logit is no number, no pair has label 1, or no threshold does what `decision` asks for.
    """
    if len(broken := np.flatnonzero(~np.isfinite(logits).all(axis=1))):
        raise UserError(
            f"validation: {len(broken)} of {len(logits)} pairs have no score, the first in row {broken[0]}; the model "
            "gives no numbers (NaN), so train it again"
        )
    measured = list(map(measures, changes))
    support = support_of(changes, measured, labels, groups)
    slope, intercept = fit_platt(logits, labels)
    scores = probabilities(logits, slope, intercept)
    point = choose(scores, labels, groups, decision)
    calibration = Calibration(
        slope=slope,
        intercept=intercept,
        threshold=point.threshold,
        certificate=point.certificate,
        curve=point.curve,
        max_length=max_length,
        files=files,
        support=support,
        reference=reference_of(features(measured, scores), labels, groups),
    )
    return calibration, point.note


def fit_platt(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The slope, within 0.05 and 20, and the intercept with the least cross-entropy (Platt 1999), by L-BFGS.

    The labels are drawn in a little, as Platt has it, so that both are finite whatever the labels are. The slope stays
    above 0, so that the order of the scores is that of the logits.
    """
    from scipy.optimize import minimize  # half a second, and the scorer needs none of it

    margin = np.subtract(logits[:, 1], logits[:, 0], dtype=np.float64)
    positives, negatives = int(labels.sum()), int(len(labels) - labels.sum())
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(parameters: np.ndarray) -> float:
        log_odds = np.exp(parameters[0]) * margin + parameters[1]
        return float(np.mean(np.logaddexp(0, log_odds) - targets * log_odds))

    bounds = [(np.log(0.05), np.log(20)), (None, None)]
    found = minimize(loss, x0=[0.0, 0.0], method="L-BFGS-B", bounds=bounds)
    return float(np.exp(found.x[0])), float(found.x[1])
