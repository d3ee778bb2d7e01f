"""Temperature and operating point, learnt from validation alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from fluency.evaluation.params import DecisionParams
from fluency.evaluation.support import Support
from fluency.metrics import negative_log_likelihood, operating_points, probabilities
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, write_json

_CURVE = ("threshold", "precision", "recall")


@dataclass(frozen=True)
class Calibration:
    """How logits become scores and scores become decisions.

    Attributes:
        temperature: logits are divided by it (Guo et al. 2017).
        threshold: a pair is accepted when its score is at or above it.
        curve: the operating points of validation (`metrics.operating_points`), to move the threshold by.
        max_length: tokens of the longest pair that the model reads whole.
        files: the SHA-256 of each file of the model that was calibrated, by its name.
        support: what validation's fluent edits looked like.
    """

    temperature: float
    threshold: float
    curve: Mapping[str, Sequence[float]]
    max_length: int
    files: Mapping[str, str]
    support: Support

    def threshold_at(self, *, threshold: float | None = None, min_precision: float | None = None) -> float:
        """The threshold of an operating point: the calibrated one, or the one asked for.

        Args:
            threshold: this one.
            min_precision: the one with the best validation recall at a validation precision of at least this.

        Raises:
            UserError: no threshold is as precise; the message names the most precise one.
        """
        if threshold is not None and min_precision is not None:
            raise ValueError("threshold and min_precision: give one of them")
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"threshold: must be between 0 and 1; found {threshold}")
        if min_precision is None:
            return self.threshold if threshold is None else threshold
        return _most_recall(self.curve, min_precision, "min_precision")

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> "Calibration":
        """Read it from JSON.

        Raises:
            UserError: the file is missing or holds something else.
        """
        values = read_json(path)
        try:
            curve = {name: [float(value) for value in values["curve"][name]] for name in _CURVE}
            files = {str(name): str(digest) for name, digest in values["files"].items()}
            support = Support.of(values["support"])
            its = float(values["temperature"]), float(values["threshold"]), curve, values["max_length"], files
            return cls(*its, support)
        except (KeyError, TypeError, ValueError, AttributeError):
            names = ", ".join(f.name for f in fields(cls))
            raise UserError(f"{path}: {names} are needed; `dvc repro calibrate` writes them") from None


def calibrate(
    logits: np.ndarray,
    labels: np.ndarray,
    decision: DecisionParams,
    *,
    max_length: int,
    files: Mapping[str, str],
    support: Support,
) -> Calibration:
    """Fit temperature and threshold on validation.

    Args:
        logits: of shape [n, 2].
        labels: of shape [n], 0 or 1.
        max_length, files, support: of the model that gave the logits and of its pairs, as in `Calibration`.

    Raises:
        UserError: no threshold does what `decision` asks for.
    """
    temperature = fit_temperature(logits, labels)
    scores = probabilities(logits, temperature)
    curve = {name: values.tolist() for name, values in operating_points(scores, labels).items()}
    return Calibration(temperature, choose_threshold(scores, labels, decision), curve, max_length, files, support)


def choose_threshold(scores: np.ndarray, labels: np.ndarray, decision: DecisionParams) -> float:
    """The threshold that `decision` asks for: by recall, by precision, or the one it names.

    Raises:
        UserError: no pair has label 1, or no threshold is as precise as `decision.min_precision`.
    """
    if decision.threshold is not None:
        return decision.threshold
    points = operating_points(scores, labels)
    if not len(points["threshold"]):
        raise UserError("validation has no pair with label 1 to choose the threshold by; give decision.threshold")
    if decision.min_precision is not None:
        return _most_recall(points, decision.min_precision, "decision.min_precision")
    return float(points["threshold"][points["recall"] >= decision.min_recall][-1])


def _most_recall(curve: Mapping[str, Sequence[float]], min_precision: float, name: str) -> float:
    for threshold, precision in zip(curve["threshold"], curve["precision"], strict=True):
        if precision >= min_precision:  # recall falls along the curve
            return float(threshold)
    raise UserError(
        f"{name}: no threshold has a validation precision of {min_precision}; the best has "
        f"{max(curve['precision'], default=0):.3f} at recall {min(curve['recall'], default=0):.3f}"
    )


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, within 0.05 and 20, with the least cross-entropy (L-BFGS over its logarithm)."""
    from scipy.optimize import minimize  # half a second, and the scorer needs none of it

    def loss(log_temperature: np.ndarray) -> float:
        return negative_log_likelihood(probabilities(logits, float(np.exp(log_temperature[0]))), labels)

    found = minimize(loss, x0=[0.0], method="L-BFGS-B", bounds=[(np.log(0.05), np.log(20))])
    return float(np.exp(found.x[0]))
