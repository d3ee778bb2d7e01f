"""The figures of the report as HTML: tables with intervals, and bars that show them. Every text is escaped."""

import html
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fluency.evaluation.comparison import Comparison

_TITLES = {
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "brier": "Brier score, lower is better",
    "ece": "Calibration error, lower is better",
    "edit_type": "Type of edit",
    "kind": "Kind of mistake",
    "part": "Part of the corpus",
}
_GROUPS = {
    "At the operating point": [f"operating_point.{name}" for name in ("precision", "recall", "f1", "threshold")],
    "At every threshold": ["average_precision", "roc_auc"],
    "As probabilities": ["brier", "ece"],
    "At a score of one half": ["precision", "recall", "f1", "accuracy"],
}
_OF_A_PART = ("operating_point.precision", "operating_point.recall", "average_precision")

Figures = Mapping[str, Any]


def lead(figures: Figures, outcomes: Sequence[int]) -> str:
    """The main figures in plain words.

    Args:
        figures: as metrics/test.json has them.
        outcomes: counts of false positives, false negatives, true positives and true negatives.
    """
    accepted_wrongly, missed, accepted, _ = outcomes
    threshold = figures["operating_point"]["threshold"]
    main = {
        "operating_point.precision": f"{accepted:,} of the {accepted + accepted_wrongly:,} edits that it accepts keep "
        "or improve fluency.",
        "operating_point.recall": f"It accepts {accepted:,} of the {accepted + missed:,} that keep or improve it.",
        "average_precision": "Precision over all thresholds, weighted by the recall that each adds.",
    }
    tiles = []
    for name, words in main.items():
        value, interval = _figure(figures, name)
        tiles.append(
            f"<div><dt>{_title(name)}</dt><dd><strong>{_number(value)}</strong>{_interval(interval)}"
            f"<p>{words}</p></dd></div>\n"
        )
    return (
        f"<p>A classifier read {sum(outcomes):,} test sentences before and after one edit. It accepts an edit, as one "
        f"that keeps or improves fluency, where its score is {threshold:.3f} or more. Small figures are 95 % "
        f"intervals.</p>\n<dl class=tiles>\n{''.join(tiles)}</dl>\n"
    )


def judges_table(judges: Mapping[str, Figures]) -> str:
    """The judges' figures side by side, for all pairs and for each part that the first one knows."""
    groups = {title: _side_by_side(judges, names) for title, names in _GROUPS.items()}
    for part, its in next(iter(judges.values())).get("parts", {}).items():
        of_part = {name: figures.get("parts", {}).get(part, {}) for name, figures in judges.items()}
        groups[f"{part}: {its['examples']:,} edits"] = _side_by_side(of_part, _OF_A_PART)
    return _table("Figures of the test pairs", ["", *judges], groups)


def _side_by_side(judges: Mapping[str, Figures], names: Sequence[str]) -> list[str]:
    known = [name for name in names if any(_figure(figures, name)[0] is not None for figures in judges.values())]
    return [_row(_title(name), (_cell(figures, name) for figures in judges.values())) for name in known]


def checks_table(checks: Figures) -> str:
    """Whatever figures there are, each with its interval; nested ones stand under the name above them."""
    if not checks:
        return ""
    nested = {name: its for name, its in checks.items() if isinstance(its, Mapping)}
    groups = {"": _lines({name: its for name, its in checks.items() if name not in nested})}
    groups |= {_title(name): _lines(its) for name, its in nested.items()}
    return _table("Checks", ["", "Value"], groups)


def _lines(figures: Figures) -> list[str]:
    bounds = {f"{name}_{bound}" for name in figures for bound in ("low", "high")}
    return [_row(_title(name), [_cell(figures, name)]) for name in figures if name not in bounds]


def comparison_tables(comparisons: Mapping[str, Comparison], model: str) -> str:
    """A table for each judge that `model` is compared with; where the interval has zero in it, it may be chance."""
    tables = []
    for other, comparison in comparisons.items():
        rows = comparison.figures
        span = max((abs(row[bound]) for row in rows for bound in ("low", "high")), default=0) or 1
        lines = []
        for row in rows:
            bounds = (row["low"], row["high"])
            bar = _bar(*((value / span + 1) / 2 for value in (row["difference"], *bounds)), mark=0.5)
            verdict = "may be chance" if row["low"] <= 0 <= row["high"] else "clear"
            cells = [f"<td>{_number(row[side])}</td>" for side in ("b", "a")]
            cells.append(f"<td>{_decimal(row['difference'], '+')}{_interval(bounds, '+')}{bar}</td>")
            lines.append(_row(_qualified(row["figure"]), [*cells, f"<td>{verdict}</td>"]))
        test = comparison.mcnemar["operating point"]
        caption = (
            f"{model} and {other} on {comparison.pairs:,} pairs. At the operating point {test['b']:,} are right by "
            f"{model} alone and {test['a']:,} by {other} alone (McNemar's p = {test['p']:.2g})"
        )
        tables.append(_table(caption, ["", model, other, "difference", ""], {"": lines}))
    return "".join(tables)


def _qualified(name: str) -> str:
    level, _, last = name.rpartition(".")
    return f"{_title(last)}, {level.replace('_', ' ')}" if level else _title(last)


def slices_table(slices: Sequence[Figures], figures: Figures) -> str:
    """Precision and recall at the operating point for each slice, with a bar beside the figure of all pairs."""
    overall = {"precision": "operating_point.precision", "recall": "operating_point.recall"}
    marks = {name: _figure(figures, its)[0] for name, its in overall.items()}
    groups: dict[str, list[str]] = {}
    for row in slices:
        cells = [
            f"<td>{row['examples']:,}<small>{row['positives']:,} fluent</small></td>",
            *(_cell(row, figure, mark=mark) for figure, mark in marks.items()),
            _cell(row, "average_precision"),
        ]
        groups.setdefault(_title(row["slice"]), []).append(_row(row["value"], cells))
    caption = "Each slice at the operating point; the upright line is the figure of all test pairs"
    return _table(caption, ["", "Edits", "Precision", "Recall", "Average precision"], groups) if slices else ""


def gallery(pictures: Mapping[str, Path]) -> str:
    """PNG files, embedded."""
    figures = [
        f'<figure><img alt="Plot: {_text(caption)}" src="data:image/png;base64,'
        f'{b64encode(Path(path).read_bytes()).decode()}"><figcaption>{_text(caption)}</figcaption></figure>\n'
        for caption, path in pictures.items()
    ]
    return f'<div class="gallery">\n{"".join(figures)}</div>\n' if figures else ""


def section(name: str, title: str, content: str) -> str:
    """A section of the page, or nothing where there is no content."""
    opening = f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{title}</h2>\n'
    return f"{opening}{content}</section>\n" if content else ""


def _table(caption: str, header: Sequence[str], groups: Mapping[str, Iterable[str]]) -> str:
    """Rows in groups, each under its title; a group of no rows is left out, the group "" has no title."""
    head = "".join(f'<th scope="col">{_text(name)}</th>' if name else "<td></td>" for name in header)
    bodies = []
    for title, rows in groups.items():
        line = f'<tr class="group"><th scope="rowgroup" colspan="{len(header)}">{_text(title)}</th></tr>\n'
        if lines := "".join(rows):
            bodies.append(f"<tbody>\n{line if title else ''}{lines}</tbody>\n")
    return (
        f'<div class="wide"><table class="figures">\n<caption>{_text(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n{''.join(bodies)}</table></div>\n"
    )


def _row(title: str, cells: Iterable[str]) -> str:
    return f'<tr><th scope="row">{_text(title)}</th>{"".join(cells)}</tr>\n'


def _cell(figures: Figures, name: str, *, mark: float | None = None) -> str:
    """The figure of a dotted name with its interval, and with a bar where there is a `mark` to compare it with."""
    value, bounds = _figure(figures, name)
    bar = _bar(value, *bounds, mark=mark) if bounds and mark is not None else ""
    return f"<td>{_number(value)}{_interval(bounds)}{bar}</td>"


def _figure(figures: Figures, name: str) -> tuple[Any, tuple[float, ...]]:
    """A figure, or None, and its interval, which may be empty."""
    *levels, last = name.split(".")
    for level in levels:
        figures = figures.get(level, {})
    bounds = tuple(figures[f"{last}_{bound}"] for bound in ("low", "high") if f"{last}_{bound}" in figures)
    return figures.get(last), bounds if len(bounds) == 2 else ()


def _interval(bounds: Sequence[float], sign: str = "") -> str:
    return f"<small>{' to '.join(_decimal(bound, sign) for bound in bounds)}</small>" if bounds else ""


def _bar(value: float, low: float, high: float, *, mark: float) -> str:
    """An interval drawn on the line from 0 to 1."""
    at = [f"{100 * place:.1f}" for place in (value, low, high, mark)]
    return (
        '<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<path class="mark" d="M{at[3]} 0V8"/><path class="range" d="M{at[1]} 4H{at[2]}"/>'
        f'<path class="point" d="M{at[0]} 1V7"/></svg>'
    )


def _title(name: str) -> str:
    last = name.rpartition(".")[2]
    return _TITLES.get(last, last.replace("_", " ").capitalize())


def _number(value: Any) -> str:
    if isinstance(value, float):
        return _decimal(value)
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else _text(value)


def _decimal(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3f}".replace("-", "−")


def _text(value: Any) -> str:
    """A text in HTML, without the characters that no HTML may hold."""
    return html.escape(re.sub("[\0\ud800-\udfff]", "\ufffd", str(value)))
