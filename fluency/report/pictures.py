"""The plots as PNG files, for the README, the report and reading without a network."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fluency.metrics import LABELS
from fluency.utils.files import written_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, Any]]

_COLOURS = {"fluent": "#1f6f8b", "non-fluent": "#c8553d", "calibrated": "#1f6f8b", "uncalibrated": "#9aa5ab"}


def write_pictures(folder: Path, data: Mapping[str, Rows]) -> dict[str, Path]:
    """Draw each of `data` (plots' rows by name, of `plots.write_plots` and `training_curves`) as NAME.png.

    Returns:
        The files, by their captions.
    """
    with written_aside(folder) as aside:
        aside.mkdir()
        for name, rows in data.items():
            _save(aside / f"{name}.png", _DRAWN[name], rows)
    return pictures(folder)


def pictures(folder: Path) -> dict[str, Path]:
    """The pictures in `folder`, by their captions."""
    files = {caption: folder / f"{name}.png" for name, caption in _CAPTIONS.items()}
    return {caption: path for caption, path in files.items() if path.is_file()}


def training_curves(folder: Path) -> dict[str, Rows]:
    """The rows of training.csv and validation.csv, which training wrote to `folder`, as data to draw."""
    rows: list[dict[str, str]] = []
    for series in ("training", "validation"):
        with (folder / f"{series}.csv").open(encoding="utf-8", newline="") as file:
            rows += [{"series": series, **row} for row in csv.DictReader(file)]
    return {"training": rows}


def _save(path: Path, draw: Callable[[Axes, Rows], None], rows: Rows) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    height = max(4, 0.24 * len(rows) + 1) if path.stem == "slices" else 4  # inches
    figure, axes = plt.subplots(figsize=(6, height), dpi=120, layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    draw(axes, rows)
    figure.savefig(path, format="png", metadata={"Software": None})
    plt.close(figure)


def _precision_recall(axes: Axes, rows: Rows) -> None:
    recall, precision = _series(rows, "all", "recall", "precision")
    axes.step(recall, precision, where="post", color=_COLOURS["fluent"])
    (at_recall, at_precision) = _series(rows, "operating point", "recall", "precision")
    label = f"operating point: precision {sum(at_precision):.3f}, recall {sum(at_recall):.3f}"
    axes.plot(at_recall, at_precision, "ko", label=label)
    axes.set(
        title="Test pairs: precision and recall", xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(None, 1.01)
    )
    axes.legend(loc="lower left")


def _roc(axes: Axes, rows: Rows) -> None:
    axes.plot([0, 1], [0, 1], ":", color="grey", label="chance")
    axes.plot(*_series(rows, "all", "false_positive_rate", "recall"), color=_COLOURS["fluent"])
    axes.plot(*_series(rows, "operating point", "false_positive_rate", "recall"), "ko", label="operating point")
    axes.set(
        title="Test pairs: ROC", xlabel="false positive rate", ylabel="recall", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01)
    )
    axes.legend(loc="lower right")


def _reliability(axes: Axes, rows: Rows) -> None:
    axes.plot([0, 1], [0, 1], ":", color="grey", label="ideal")
    for series in ("uncalibrated", "calibrated"):
        axes.plot(*_series(rows, series, "score", "fluent"), "o-", color=_COLOURS[series], label=series)
    axes.set(
        title="Test pairs: reliability",
        xlabel="mean score of the bin",
        ylabel="share of fluent pairs",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(loc="upper left")


def _histogram(axes: Axes, rows: Rows) -> None:
    for series in LABELS:
        _, pairs = _series(rows, series, "score", "pairs")
        axes.stairs(
            pairs, np.linspace(0, 1, len(pairs) + 1), fill=True, alpha=0.55, color=_COLOURS[series], label=series
        )
    axes.set(title="Test pairs: scores by label", xlabel="score", ylabel="pairs", xlim=(0, 1))
    axes.legend(loc="upper center")


def _confusion(axes: Axes, rows: Rows) -> None:
    counts = np.zeros((2, 2), dtype=int)
    for row in rows:
        counts[LABELS.index(row["actual"]), LABELS.index(row["predicted"])] += 1
    axes.imshow(counts, cmap="Blues", vmin=0)
    axes.grid(visible=False)
    for (actual, predicted), count in np.ndenumerate(counts):
        colour = "white" if count > counts.max() / 2 else "black"
        axes.text(predicted, actual, f"{count}", ha="center", va="center", color=colour, fontsize=14)
    axes.set(
        title="Test pairs: decisions",
        xticks=(0, 1),
        yticks=(0, 1),
        xticklabels=("refused", "accepted"),
        yticklabels=LABELS,
    )
    axes.set(xlabel="decision at the operating point", ylabel="label")


def _slices(axes: Axes, rows: Rows) -> None:
    rows = [row for row in rows if row["precision"] is not None]
    names = [f"{row['slice']}: {row['value']} ({row['examples']})" for row in rows]
    places = np.arange(len(rows))[::-1]
    middle, low, high = (
        np.array([row[name] for row in rows]) for name in ("precision", "precision_low", "precision_high")
    )
    spread = [np.maximum(middle - low, 0), np.maximum(high - middle, 0)]
    axes.errorbar(middle, places, xerr=spread, fmt="o", color=_COLOURS["fluent"], capsize=2)
    axes.set_yticks(places, names)
    axes.set(
        title="Test pairs: precision by slice",
        xlabel="precision at the operating point, 95 % interval",
        xlim=(None, 1.01),
    )


def _training(axes: Axes, rows: Rows) -> None:
    axes.plot(*_series(rows, "training", "step", "loss"), color="#9aa5ab", label="training loss")
    for figure, colour in (("loss", "non-fluent"), ("precision", "fluent")):
        label = f"validation {figure}"
        axes.plot(*_series(rows, "validation", "step", figure), "o-", color=_COLOURS[colour], label=label)
    axes.set(title="Training", xlabel="step", ylim=(0, None))
    axes.legend(loc="lower left")


def _series(rows: Rows, series: str, x: str, y: str) -> tuple[list[float], list[float]]:
    chosen = [row for row in rows if row["series"] == series]
    return [float(row[x]) for row in chosen], [float(row[y]) for row in chosen]


_DRAWN = {
    "precision_recall": _precision_recall,
    "roc": _roc,
    "reliability": _reliability,
    "histogram": _histogram,
    "confusion": _confusion,
    "slices": _slices,
    "training": _training,
}
_CAPTIONS = {
    "precision_recall": "Precision against recall, and the operating point",
    "roc": "ROC curve, and the operating point",
    "reliability": "Reliability: how often pairs of a score are fluent, before and after calibration",
    "histogram": "Scores by label",
    "confusion": "Decisions at the operating point against labels",
    "slices": "Precision by slice, with 95 % intervals",
    "training": "Loss and validation precision in training",
}
