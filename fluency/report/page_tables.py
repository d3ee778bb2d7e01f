"""The figures of the report as rows of cells, which the page's template draws: values, intervals, bars."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fluency.evaluation.comparison import Comparison
from fluency.report.summary import CHALLENGE, telling

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
Cell = dict[str, Any]  # value, bounds, sign, small, bar
Row = tuple[str, list[Cell]]
Table = dict[str, Any]  # caption, header, groups of rows by their titles


def tiles(figures: Figures, outcomes: Sequence[int]) -> list[dict[str, Any]]:
    """The main figures in plain words.

    Args:
        figures: as metrics/test.json has them.
        outcomes: counts of false positives, false negatives, true positives and true negatives.
    """
    accepted_wrongly, missed, accepted, _ = outcomes
    words = {
        "operating_point.precision": f"{accepted:,} of the {accepted + accepted_wrongly:,} edits that it accepts keep "
        "or improve fluency.",
        "operating_point.recall": f"It accepts {accepted:,} of the {accepted + missed:,} that keep or improve it.",
        "average_precision": "Precision over all thresholds, weighted by the recall that each adds.",
    }
    return [{"title": _title(name), "cell": _cell(figures, name), "words": its} for name, its in words.items()]


def judges_table(judges: Mapping[str, Figures]) -> list[Table]:
    """The judges' figures side by side, for all pairs and for each part that the first one knows."""
    groups = {title: _side_by_side(judges, names) for title, names in _GROUPS.items()}
    for part, its in next(iter(judges.values())).get("parts", {}).items():
        of_part = {
            name: telling(figures["parts"][part]) if part in figures.get("parts", {}) else {}
            for name, figures in judges.items()
        }
        groups[f"{part}: {its['examples']:,} edits"] = _side_by_side(of_part, _OF_A_PART)
    return [_table("Figures of the test pairs", ["", *judges], groups)]


def _side_by_side(judges: Mapping[str, Figures], names: Iterable[str]) -> list[Row]:
    rows = [(_title(name), [_cell(figures, name) for figures in judges.values()]) for name in names]
    return [row for row in rows if any(cell["value"] is not None for cell in row[1])]


def challenge_table(challenge: Figures) -> list[Table]:
    """How much of the challenge set is decided wrongly at the operating point: by what the edits do, and by kind."""
    groups = {
        CHALLENGE[role]: [
            ("all", _wrong(its)),
            *((name, _wrong(one)) for name, one in (its["lengths"] | its["kinds"]).items()),
        ]
        for role, its in challenge.items()
    }
    caption = "Hand-written edits that training never sees, and the share that is decided wrongly"
    return [_table(caption, ["", "Edits", "Wrong", "Share"], groups)] if challenge else []


def _wrong(its: Figures) -> list[Cell]:
    return [_plain(its["edits"]), _plain(its["wrong"]), _cell(its, "rate", mark=0.0)]


def checks_table(checks: Figures) -> list[Table]:
    """Whatever figures there are, each with its interval; nested ones stand under the name above them."""
    if not checks:
        return []
    nested = {name: its for name, its in checks.items() if isinstance(its, Mapping)}
    groups = {"": _lines({name: its for name, its in checks.items() if name not in nested})}
    groups |= {_title(name): _lines(its) for name, its in nested.items()}
    return [_table("Checks", ["", "Value"], groups)]


def _lines(figures: Figures) -> list[Row]:
    bounds = {f"{name}_{bound}" for name in figures for bound in ("low", "high")}
    return [(_title(name), [_cell(figures, name)]) for name in figures if name not in bounds]


def comparison_tables(comparisons: Mapping[str, Comparison], model: str) -> list[Table]:
    """A table for each judge that `model` is compared with; where the interval has zero in it, it may be chance."""
    tables = []
    for other, comparison in comparisons.items():
        span = max((abs(row[bound]) for row in comparison.figures for bound in ("low", "high")), default=0) or 1
        rows = []
        for row in comparison.figures:
            bounds = (row["low"], row["high"])
            places = [(value / span + 1) / 2 for value in (row["difference"], *bounds)]
            verdict = "may be chance" if row["low"] <= 0 <= row["high"] else "clear"
            difference = _plain(row["difference"], bounds=bounds, sign="+", bar=_bar(*places, mark=0.5))
            level, _, last = row["figure"].rpartition(".")
            name = f"{_title(last)}, {level.replace('_', ' ')}" if level else _title(last)
            rows.append((name, [_plain(row["b"]), _plain(row["a"]), difference, _plain(verdict)]))
        test = comparison.mcnemar["operating point"]
        caption = (
            f"{model} and {other} on {comparison.pairs:,} pairs. At the operating point {test['b']:,} are right by "
            f"{model} alone and {test['a']:,} by {other} alone (McNemar's p = {test['p']:.2g})"
        )
        tables.append(_table(caption, ["", model, other, "difference", ""], {"": rows}))
    return tables


def slices_table(slices: Sequence[Figures], figures: Figures) -> list[Table]:
    """Precision and recall at the operating point for each slice, with a bar beside the figure of all pairs."""
    marks = {name: _cell(figures, f"operating_point.{name}")["value"] for name in ("precision", "recall")}
    groups: dict[str, list[Row]] = {}
    for row in slices:
        cells = [_plain(row["examples"], small=f"{row['positives']:,} fluent")]
        cells += [_cell(row, figure, mark=mark) for figure, mark in marks.items()]
        groups.setdefault(_title(row["slice"]), []).append((row["value"], [*cells, _cell(row, "average_precision")]))
    caption = "Each slice at the operating point; the upright line is the figure of all test pairs"
    return [_table(caption, ["", "Edits", "Precision", "Recall", "Average precision"], groups)] if slices else []


def number(value: Any, sign: str = "") -> str:
    """A value as the page shows it."""
    if isinstance(value, float):
        return decimal(value, sign)
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def decimal(value: float, sign: str = "") -> str:
    """Three digits, and a real minus."""
    return f"{value:{sign}.3f}".replace("-", "−")


def _table(caption: str, header: Sequence[str], groups: Mapping[str, list[Row]]) -> Table:
    return {"caption": caption, "header": header, "groups": groups}


def _cell(figures: Figures, name: str, *, mark: float | None = None) -> Cell:
    """The figure of a dotted name with its interval, and with a bar where there is a `mark` to compare it with."""
    *levels, last = name.split(".")
    for level in levels:
        figures = figures.get(level, {})
    value, bounds = figures.get(last), [figures.get(f"{last}_{bound}") for bound in ("low", "high")]
    if None in bounds:
        return _plain(value)
    return _plain(value, bounds=bounds, bar=None if mark is None else _bar(value, *bounds, mark=mark))


def _plain(value: Any, *, bounds: Sequence[float] = (), sign: str = "", small: str = "", bar: Any = None) -> Cell:
    return {"value": value, "bounds": bounds, "sign": sign, "small": small, "bar": bar}


def _bar(value: float, low: float, high: float, *, mark: float) -> dict[str, str]:
    """An interval on the line from 0 to 1, in percent."""
    return {name: f"{100 * at:.1f}" for name, at in {"value": value, "low": low, "high": high, "mark": mark}.items()}


def _title(name: str) -> str:
    last = name.rpartition(".")[2]
    return _TITLES.get(last, last.replace("_", " ").capitalize())
