"""The data of DVC's plots, in metrics/plots: the curves, the histogram and the slices of the test pairs."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from fluency.evaluation.scored_pairs import ScoredPairs
from fluency.metrics import LABELS, point_metrics, reliability
from fluency.utils.files import write_text

_POINTS = 200  # of a drawn curve
_BINS = 20  # of the histogram


def precision_recall(scored: ScoredPairs) -> list[dict[str, Any]]:
    """The curve and, as a series of its own, the operating point; empty without positives."""
    labels = scored.labels
    if not labels.any():
        return []
    precision, recall, _ = precision_recall_curve(labels, scored.scores)
    point = point_metrics(scored.accepted, labels)
    curve = [("all", recall[row], precision[row]) for row in _thinned(len(recall) - 1)]
    return _rows(("series", "recall", "precision"), [*curve, ("operating point", point["recall"], point["precision"])])


def roc(scored: ScoredPairs) -> list[dict[str, Any]]:
    """The curve and, as a series of its own, the operating point; empty where only one label occurs."""
    labels = scored.labels
    if len(np.unique(labels)) < 2:
        return []
    false, true, _ = roc_curve(labels, scored.scores)
    at = [float(scored.accepted[labels == label].mean()) for label in (0, 1)]
    curve = [("all", false[row], true[row]) for row in _thinned(len(false))]
    return _rows(("series", "false_positive_rate", "recall"), [*curve, ("operating point", *at)])


def calibration_curve(scored: ScoredPairs, uncalibrated: np.ndarray) -> list[dict[str, Any]]:
    """The share of label 1 in each bin of scores, before and after calibration.

    Args:
        uncalibrated: the scores before calibration, of shape [pairs].
    """
    return [
        {"series": series, **row}
        for series, scores in (("calibrated", scored.scores), ("uncalibrated", uncalibrated))
        for row in reliability(scores, scored.labels)
    ]


def histogram(scored: ScoredPairs) -> list[dict[str, Any]]:
    """How many pairs of each label score in each of 20 equal bins, by the middle of the bin."""
    rows, edges = [], np.linspace(0, 1, _BINS + 1)
    for label, name in enumerate(LABELS):
        counts, _ = np.histogram(scored.scores[scored.labels == label], edges)
        rows += [(name, (edges[bin_] + edges[bin_ + 1]) / 2, int(count)) for bin_, count in enumerate(counts)]
    return _rows(("series", "score", "pairs"), rows)


def decisions(scored: ScoredPairs) -> list[dict[str, Any]]:
    """The label and the decision of each pair, as DVC's confusion matrix wants them."""
    accepted = scored.accepted.astype(int)
    return [
        {"actual": LABELS[label], "predicted": LABELS[said]}
        for label, said in zip(scored.labels, accepted, strict=True)
    ]


def write_plots(
    folder: Path, scored: ScoredPairs, uncalibrated: np.ndarray, slices: Sequence[Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Write each plot's data as CSV; returns them by name."""
    data = {
        "precision_recall": precision_recall(scored),
        "roc": roc(scored),
        "reliability": calibration_curve(scored, uncalibrated),
        "histogram": histogram(scored),
        "confusion": decisions(scored),
        "slices": list(slices),
    }
    for name, rows in data.items():
        write_text(folder / f"{name}.csv", _as_csv(rows))
    return data


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0] if rows else ())
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row.values()] for row in rows)
    return text.getvalue()


def _rows(names: Sequence[str], values: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in values]


def _thinned(points: int) -> np.ndarray:
    return np.unique(np.linspace(0, points - 1, min(_POINTS, points)).astype(int))
