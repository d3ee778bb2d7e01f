"""Temperature and operating point, learnt from validation alone."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from fluency.errors import UserError
from fluency.files import read_json, write_json
from fluency.metrics import best_threshold, negative_log_likelihood, probabilities


@dataclass(frozen=True)
class Calibration:
    """How logits become scores and scores become decisions.

    Attributes:
        temperature: logits are divided by it (Guo et al. 2017).
        threshold: a pair is accepted when its score is at or above it.
    """

    temperature: float
    threshold: float

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
            return cls(float(values["temperature"]), float(values["threshold"]))
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{path}: temperature and threshold are needed; `dvc repro calibrate` writes them"
            ) from None


def calibrate(logits: np.ndarray, labels: np.ndarray, *, min_recall: float) -> Calibration:
    """Fit both on validation.

    Args:
        logits: of shape [n, 2].
        labels: of shape [n], 0 or 1.
        min_recall: the recall that the operating point must keep.
    """
    temperature = fit_temperature(logits, labels)
    return Calibration(temperature, best_threshold(probabilities(logits, temperature), labels, min_recall))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, within 0.05 and 20, with the least cross-entropy (L-BFGS over its logarithm)."""

    def loss(log_temperature: np.ndarray) -> float:
        return negative_log_likelihood(probabilities(logits, float(np.exp(log_temperature[0]))), labels)

    found = minimize(loss, x0=[0.0], method="L-BFGS-B", bounds=[(np.log(0.05), np.log(20))])
    return float(np.exp(found.x[0]))
