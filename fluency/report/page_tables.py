"""The figures of the report as rows of cells, which the page's template draws: values, intervals, bars."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fluency.evaluation.certificate import Certificate, Curve
from fluency.evaluation.comparison import Comparison
from fluency.report.summary import CHALLENGE, spoken

_TITLES = {
    "direction": "Harming edits and their reverse",
    "ordered": "Score below their reverse",
    "opposite": "Refused, and the reverse accepted, at a score of one half",
    "opposite_at_operating_point": "Refused, and the reverse accepted, at the operating point",
    "identity": "Fluent sentences left as they are",
    "accepted": "Accepted at a score of one half",
    "accepted_at_operating_point": "Accepted at the operating point",
    "effect": "What the edit does",
    "log_loss": "Log loss, lower is better",
    "examples": "Edits answered",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "brier": "Brier score, lower is better",
    "ece": "Calibration error, lower is better",
    "edit_type": "Type of edit",
    "kind": "Kind of mistake",
    "part": "Part of the corpus",
}
_GROUPS = {
    "": ["examples"],
    "At the operating point": [f"operating_point.{name}" for name in ("precision", "recall", "f1", "threshold")],
    "At every threshold": ["average_precision", "roc_auc"],
    "As probabilities": ["log_loss", "brier", "ece"],
    "At a score of one half": ["precision", "recall", "f1", "accuracy"],
}
_RECALLS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)  # of the table of thresholds
_OF_A_PART = ("operating_point.precision", "operating_point.recall", "average_precision")

Figures = Mapping[str, Any]
Cell = dict[str, Any]  # value, bounds, sign, small, bar
Row = tuple[str, list[Cell]]
Table = dict[str, Any]  # caption, header, groups of rows by their titles


def tiles(figures: Figures, certificate: Certificate, outcomes: Sequence[int]) -> list[dict[str, Any]]:
    """The answer in plain words: what is certain, what the test pairs say, and what is refused.

    Args:
        figures: as metrics/test.json has them.
        outcomes: counts of false positives, false negatives, true positives and true negatives.
    """
    accepted_wrongly, missed, accepted, refused = outcomes
    certain = f"{certificate}."
    return [
        {
            "title": f"Certified {certificate.figure}" if certificate.holds else "Not certified",
            "cell": _plain(f"≥ {certificate.bound:g}" if certificate.bound else "none"),
            "words": certain[0].upper() + certain[1:],
        },
        {
            "title": "Precision of the test pairs",
            "cell": _cell(figures, "operating_point.precision"),
            "words": f"{accepted:,} of {accepted + accepted_wrongly:,} accepted edits keep or improve fluency.",
        },
        {
            "title": "Recall of the test pairs",
            "cell": _cell(figures, "operating_point.recall"),
            "words": f"It refuses {missed:,} of the {accepted + missed:,} edits that keep or improve fluency, and "
            f"{refused:,} of the {refused + accepted_wrongly:,} that harm it.",
        },
    ]


def thresholds_table(curve: Curve, threshold: float, confidence: float) -> list[Table]:
    """Thresholds to choose one from, as validation knows them: for some recalls the strictest, and the one in use."""
    rows = {bisect_left(curve["recall"], recall) for recall in _RECALLS} | {curve["threshold"].index(threshold)}
    lines: list[Row] = []
    for row in sorted(rows - {len(curve["recall"])}):
        cells = [curve["recall"][row], curve["precision"][row], curve["lower"][row] or None]
        cells.append(round(1000 * curve["accepted"][row] / curve["accepted"][-1]))
        used = " (in\u00a0use)" if curve["threshold"][row] == threshold else ""
        lines.append((f"{curve['threshold'][row]:.5f}{used}", [_plain(cell) for cell in cells]))
    caption = (
        f"What thresholds accept of validation. Precision at least: with {100 * confidence:g} % confidence, on text "
        "like validation, for whichever row you choose by it"
    )
    header = ["Threshold", "Recall", "Precision", "Precision at least", "Accepted of 1,000"]
    return [_table(caption, header, {"": lines})]


def certified_table(certified: Figures, confidence: float) -> list[Table]:
    """The thresholds that validation certifies for a precision that was named before, and what the test pairs say."""
    rows = [
        (f"At least {target}", [_plain(its["threshold"]), *(_cell(its, name) for name in ("precision", "recall"))])
        for target, its in certified.items()
    ]
    caption = (
        f"A precision named beforehand, certified with {100 * confidence:g} % confidence, and how the test pairs agree"
    )
    header = ["Precision", "Threshold", "Precision of the test pairs", "Recall"]
    return [_table(caption, header, {"": rows})] if rows else []


def judges_table(judges: Mapping[str, Figures]) -> list[Table]:
    """The judges' figures side by side, for all pairs and for each part that the first one knows."""
    groups = {title: _side_by_side(judges, names) for title, names in _GROUPS.items()}
    for part, its in next(iter(judges.values())).get("parts", {}).items():
        of_part = {name: figures.get("parts", {}).get(part, {}) for name, figures in judges.items()}
        groups[f"{part}: {its['examples']:,} edits"] = _side_by_side(of_part, _OF_A_PART)
    return [_table("Figures of the test pairs", ["", *judges], groups)]


def _side_by_side(judges: Mapping[str, Figures], names: Iterable[str]) -> list[Row]:
    rows = [(_title(name), [_cell(figures, name) for figures in judges.values()]) for name in names]
    return [row for row in rows if any(cell["value"] is not None for cell in row[1])]


def challenge_table(challenge: Figures, by: str) -> list[Table]:
    """How much of the challenge set is decided wrongly, by what the edits do and then `by`: `lengths` or `kinds`."""
    groups = {
        CHALLENGE[role]: [(name, _counted(one, "wrong")) for name, one in {"all": its, **its[by]}.items()]
        for role, its in challenge.items()
    }
    caption = "Hand-written edits that training never sees, and the share that is decided wrongly"
    return [_table(caption, ["", "Edits", "Wrong", "Share"], groups)] if challenge else []


def attack_table(attack: Figures) -> list[Table]:
    """How much nonsense of each kind is outside support, and how much is accepted at the operating point."""
    rows = [(_title(kind), _counted(its, "outside_support", "accepted")) for kind, its in attack.items()]
    caption = "Nonsense by rule, or the best of several by the score; outside support, it is refused and no model asked"
    return [_table(caption, ["", "Tries", "Outside support", "Accepted", "Share"], {"": rows})] if rows else []


def _counted(its: Figures, *counts: str) -> list[Cell]:
    return [*(_plain(its[name]) for name in ("edits", *counts)), _cell(its, "rate", mark=0.0)]


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
        bounds_of = {row["figure"]: (row["low"], row["high"]) for row in comparison.figures if row["low"] is not None}
        span = max((abs(bound) for bounds in bounds_of.values() for bound in bounds), default=0) or 1
        rows = []
        for row in comparison.figures:
            bounds = bounds_of.get(row["figure"], ())
            places = [(value / span + 1) / 2 for value in (row["difference"], *bounds)]
            verdict = "clear" if row["clear"] else "may be chance"
            bar = _bar(*places, mark=0.5) if bounds else None
            difference = _plain(row["difference"], bounds=bounds, sign="+", bar=bar)
            first, _, last = row["figure"].partition(".")
            name = f"{_title(last)}, {spoken(first)}" if first == "operating_point" else f"{_title(first)} {last}"
            rows.append((name, [_plain(row["b"]), _plain(row["a"]), difference, _plain(verdict)]))
        test = comparison.sign_test["operating point"]
        caption = (
            f"{model} and {other} on the {comparison.pairs:,} pairs that both answered. At the operating point {model} "
            f"is right of more pairs in {test['b']:,} groups, {other} in {test['a']:,} (sign test by group, "
            f"p = {test['p']:.2g})"
        )
        tables.append(_table(caption, ["", model, other, "difference", ""], {"": rows}))
    return tables


def slices_table(slices: Sequence[Figures], figures: Figures) -> list[Table]:
    """Each slice at the operating point, with a bar beside the figure of all pairs."""
    groups: dict[str, list[Row]] = {}
    for row in slices:
        groups.setdefault(_title(row["slice"]), []).append((row["value"], _of_a_slice(row, figures)))
    return _slices(groups, "Each slice at the operating point; the upright line is the figure of all test pairs")


def worst_slices_table(slices: Sequence[Figures], figures: Figures) -> list[Table]:
    """The slices whose precision or recall is furthest below that of all pairs, the surest first."""
    chance = [min(row[f"{name}_p"] or 1 for name in ("precision", "recall")) for row in slices]
    places = sorted(range(len(slices)), key=chance.__getitem__)
    rows = [
        (f"{_title(slices[at]['slice'])}: {slices[at]['value']}", _of_a_slice(slices[at], figures))
        for at in places
        if chance[at] < 0.05
    ]
    caption = "Slices below all test pairs in precision or recall (p below 0.05, corrected for the number of slices)"
    return _slices({"": rows}, caption) if rows else []


def _of_a_slice(row: Figures, figures: Figures) -> list[Cell]:
    one_label = {0: "all harm", row["examples"]: "all fluent"}.get(row["positives"])
    cells = [_plain(row["examples"], small=one_label or f"{row['positives']:,} fluent")]
    cells.append(_plain(row["accepted_right"], small=f"and {row['accepted_wrong']:,} wrong"))
    for name in ("precision", "recall"):
        cells.append(_cell(row, name, mark=_cell(figures, f"operating_point.{name}")["value"]))
    return cells


def _slices(groups: Mapping[str, list[Row]], caption: str) -> list[Table]:
    return [_table(caption, ["", "Edits", "Accepted", "Precision", "Recall"], groups)] if groups else []


def number(value: Any, sign: str = "") -> str:
    """A value as the page shows it."""
    if isinstance(value, float):
        return decimal(value, sign)
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def decimal(value: float, sign: str = "") -> str:
    """Three digits, and a real minus."""
    return f"{value:{sign}.3f}".replace("-", "−")


def unbroken(text: str) -> str:
    """A text whose numbers stay on one line with their `%`, and ranges of numbers too."""
    return re.sub(r"(?<=\d)-(?=\d)", "\u2011", text.replace(" %", "\u00a0%"))


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
