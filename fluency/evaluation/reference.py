"""The reference's own files: predictions.txt (two logits a row), labels.txt and results.json, in row order."""

from pathlib import Path

import numpy as np

from fluency.metrics import negative_log_likelihood, point_metrics, probabilities
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, write_json, write_text


def results(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What results.json holds: loss and point metrics at argmax, before calibration.

    Args:
        logits: of shape [pairs, 2].
        labels: of shape [pairs], 0 or 1.
    """
    scores = probabilities(logits)
    point = point_metrics(scores > 0.5, labels)
    figures = {"loss": negative_log_likelihood(scores, labels)} | {
        name: point[name] for name in ("accuracy", "precision", "recall", "f1")
    }
    return {f"test_{name}": value for name, value in figures.items()}


def write(folder: Path, logits: np.ndarray, labels: np.ndarray) -> None:
    """Write the three files."""
    write_text(folder / "predictions.txt", "".join(f"{first:.9g} {second:.9g}\n" for first, second in logits))
    write_text(folder / "labels.txt", "".join(f"{label}\n" for label in labels))
    write_json(folder / "results.json", results(logits, labels))


def verify(folder: Path) -> dict[str, tuple[float, float]]:
    """Compute a published run's results again: by name, what results.json says and what its logits and labels give.

    Raises:
        UserError: a file is missing or isn't what it should be.
    """
    published = read_json(folder / "results.json")
    logits, labels = (_numbers(folder / f"{name}.txt") for name in ("predictions", "labels"))
    if (
        logits.ndim != 2
        or logits.shape[1] != 2
        or labels.shape != logits.shape[:1]
        or not np.isin(labels, (0, 1)).all()
    ):
        raise UserError(f"{folder}: predictions.txt needs two logits a row, and labels.txt 0 or 1 for each row")
    return {
        name: (float(published[name]), value)
        for name, value in results(logits, labels.astype(int)).items()
        if name in published
    }


def _numbers(path: Path) -> np.ndarray:
    try:
        return np.loadtxt(path, delimiter="," if "," in path.read_text(encoding="utf-8") else None)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; a run's results folder has it") from None
    except ValueError as error:
        raise UserError(f"{path}: not a table of numbers ({error})") from None
