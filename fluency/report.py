"""Figures for people: plot data and a picture for DVC, and the summary table of the terminal and the README."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn.metrics import precision_recall_curve

from fluency.calibration import Calibration
from fluency.errors import UserError
from fluency.files import read_json, write_text, written_aside
from fluency.metrics import average_precision, point_metrics, probabilities, reliability

_POINTS = 200  # of a drawn curve


def write_plots(folder: Path, logits: np.ndarray, pairs: Sequence[Mapping[str, Any]], calibration: Calibration) -> None:
    """Write precision_recall.csv and .png, reliability.csv and confusion.csv for the test pairs."""
    labels = np.array([pair["label"] for pair in pairs])
    scores = probabilities(logits, calibration.temperature)
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    keep = np.unique(np.linspace(0, len(thresholds) - 1, min(_POINTS, len(thresholds))).astype(int))
    curve = list(zip(recall[keep], precision[keep], thresholds[keep], strict=True))
    _write_csv(folder / "precision_recall.csv", ("recall", "precision", "threshold"), curve)
    bins = [tuple(row.values()) for row in reliability(scores, labels)]
    _write_csv(folder / "reliability.csv", ("score", "fluent", "pairs"), bins)
    names = np.array(["non-fluent", "fluent"])
    accepted = (scores >= calibration.threshold).astype(int)
    _write_csv(folder / "confusion.csv", ("actual", "predicted"), zip(names[labels], names[accepted], strict=True))
    _draw_precision_recall(folder / "precision_recall.png", scores, pairs, calibration.threshold)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    write_text(path, text.getvalue())


def _draw_precision_recall(
    path: Path, scores: np.ndarray, pairs: Sequence[Mapping[str, Any]], threshold: float
) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    labels = np.array([pair["label"] for pair in pairs])
    parts = np.array([pair["part"] for pair in pairs])
    figure, axes = plt.subplots(figsize=(6, 4), dpi=120, layout="constrained")
    for name, inside in [("all", parts == parts), *((part, parts == part) for part in np.unique(parts))]:
        if not labels[inside].any():
            continue
        precision, recall, _ = precision_recall_curve(labels[inside], scores[inside])
        label = f"{name} (average precision {average_precision(scores[inside], labels[inside]):.3f})"
        axes.step(recall, precision, where="post", label=label, linewidth=2 if name == "all" else 1)
    point = point_metrics(scores >= threshold, labels)
    axes.plot(
        point["recall"],
        point["precision"],
        "ko",
        label=f"operating point (precision {point['precision']:.3f})",
    )
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0.4, 1.01), title="Test pairs")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", fontsize=8)
    with written_aside(path) as aside:
        figure.savefig(aside, format="png", metadata={"Software": None})
    plt.close(figure)


def summary(metrics_folder: Path = Path("metrics")) -> str:
    """The results as a Markdown table, model beside baseline, overall and for each part.

    Raises:
        UserError: metrics/test.json or metrics/baseline.json is missing, or they are of different data.
    """
    model, baseline = read_json(metrics_folder / "test.json"), read_json(metrics_folder / "baseline.json")
    if model["parts"].keys() != baseline["parts"].keys():
        raise UserError(f"{metrics_folder}: test.json and baseline.json are of different data; run `dvc repro`")
    lines = [
        "| test pairs | count | precision | recall "
        "| average precision | (baseline) | precision at recall 0.8 | (baseline) |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, ours, theirs in [
        ("**all**", model, baseline),
        *((part, figures, baseline["parts"][part]) for part, figures in model["parts"].items()),
    ]:
        point = ours["operating_point"]
        values = (
            point["precision"],
            point["recall"],
            ours["average_precision"],
            theirs["average_precision"],
            ours["precision_at_recall"]["0.8"],
            theirs["precision_at_recall"]["0.8"],
        )
        lines.append(f"| {name} | {ours['examples']} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    return "\n".join(lines) + "\n"


def stage_table(pipeline: Path = Path("dvc.yaml")) -> str:
    """The stages and what each does, as a Markdown table."""
    stages = yaml.safe_load(pipeline.read_text(encoding="utf-8"))["stages"]
    rows = [f"| `{name}` | {stage['desc']} |\n" for name, stage in stages.items()]
    return "| stage | what it does |\n| --- | --- |\n" + "".join(rows)


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """`text` with each block between its marks, `<!-- name -->` and `<!-- /name -->`.

    Raises:
        UserError: the marks of a block are not there.
    """
    for name, block in blocks.items():
        first, last = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if first not in text or last not in text:
            raise UserError(f"README.md: the marks <!-- {name} --> and {last} are needed")
        text = text.partition(first)[0] + first + block + last + text.partition(last)[2]
    return text


def readme_blocks() -> dict[str, str]:
    """What README.md shows of the committed files."""
    return {"results": summary(), "stages": stage_table()}
