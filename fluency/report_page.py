"""The report people read: results/report.html, the figures and every test edit in one file that needs no network.

The template beside this module has the page's frame, its style and its script. The figures are put into it as HTML, the
edits as JSON, column by column, which the script shows as text. So nothing of a corpus is ever read as markup.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fluency.files import write_text
from fluency.report_tables import checks_table, comparison_tables, gallery, judges_table, lead, section, slices_table

OUTCOMES = ("false positive", "false negative", "true positive", "true negative")  # in the order of the page
_FACETS = ("kind", "edit_type", "part", "corpus")
_TEMPLATE = Path(__file__).with_suffix(".html")
_UNSAFE = re.compile("[<>&\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # in a script element, or in UTF-8

Pairs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Judged:
    """One judge of the test pairs: the model, the baseline, a language model.

    Attributes:
        name: what the page calls it.
        figures: as metrics/test.json has them.
        scores: probabilities of label 1, of shape [pairs], NaN for a pair without one; None where only the figures
            are known.
    """

    name: str
    figures: Mapping[str, Any]
    scores: np.ndarray | None = None

    @property
    def threshold(self) -> float:
        """A pair that scores this or more is accepted."""
        return self.figures["operating_point"]["threshold"]


def write_report(
    path: str | Path,
    pairs: Pairs,
    judged: Sequence[Judged],
    *,
    slices: Sequence[Mapping[str, Any]] = (),
    comparisons: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    pictures: Mapping[str, Path] | None = None,
) -> None:
    """Write the page. The same arguments give the same bytes.

    Args:
        path: of the page.
        pairs: the test pairs, rows as data/pairs/ has them.
        judged: the judges; the first, which needs scores, is the one whose mistakes the page shows.
        slices: rows of `slice, value, examples, positives`, and `precision, recall, average_precision` of the first
            judge at the operating point, each with its `_low` and `_high` where known.
        comparisons: rows of `figure, a, b, difference, low, high`, by what is compared.
        pictures: PNG files, by their captions.

    Raises:
        ValueError: the first judge has no scores, or a judge has not one score a pair.
    """
    model, template = judged[0], _TEMPLATE.read_text(encoding="utf-8")
    if model.scores is None:
        raise ValueError(f"scores of {model.name!r} are needed; the page shows its mistakes")
    outcomes = _outcomes(pairs, model)
    blocks = {
        "policy": _policy(template),
        "lead": lead(model.figures, np.bincount(outcomes, minlength=4).tolist()),
        "sections": "".join(
            [
                section("figures", "Figures", judges_table({judge.name: judge.figures for judge in judged})),
                section("checks", "Direction and identity", checks_table(model.figures.get("checks", {}))),
                section("comparisons", "Is it better?", comparison_tables(comparisons or {})),
                section("slices", "Where it fails", slices_table(slices, model.figures)),
                section("curves", "Curves", gallery(pictures or {})),
            ]
        ),
        "edits": edits_json(pairs, judged, outcomes),
    }
    # In one pass, so that a mark inside a block stays as it is.
    write_text(path, re.sub(r"\{\{(\w+)\}\}", lambda mark: blocks[mark[1]], template))


def _outcomes(pairs: Pairs, model: Judged) -> np.ndarray:
    """Indices into `OUTCOMES`, of shape [pairs]."""
    fluent = np.array([pair["label"] == 1 for pair in pairs], dtype=bool)
    accepted = np.asarray(model.scores) >= model.threshold
    return np.select([accepted & ~fluent, ~accepted & fluent, accepted], [0, 1, 2], 3)


def edits_json(pairs: Pairs, judged: Sequence[Judged], outcomes: np.ndarray) -> str:
    """The edits as JSON that may stand in a script element: columns of a value, or an index to values, a pair.

    Offsets count UTF-16 units, as JavaScript does. Labels, decisions and the sentences after the edit follow from the
    other columns.
    """
    scoring = [judge for judge in judged if judge.scores is not None]
    columns = {
        "judges": [{"name": judge.name, "threshold": judge.threshold} for judge in scoring],
        "scores": [_rounded(judge, len(pairs)) for judge in scoring],
        "outcomes": OUTCOMES,
        "outcome": outcomes.tolist(),
        "id": [pair["id"] for pair in pairs],
        "before": [pair["before"] for pair in pairs],
        "start": [_units(pair["before"], pair["edit_start"]) for pair in pairs],
        "end": [_units(pair["before"], pair["edit_end"]) for pair in pairs],
        "inserted": [pair["inserted"] for pair in pairs],
        "facets": {name: _indexed([str(pair[name]) for pair in pairs]) for name in _FACETS},
    }
    text = json.dumps(columns, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _rounded(judge: Judged, pairs: int) -> list[float | None]:
    scores = np.asarray(judge.scores, dtype=float)
    if scores.shape != (pairs,):
        raise ValueError(f"{judge.name!r} has scores of shape {list(scores.shape)} for {pairs} pairs")
    return [score if np.isfinite(score) else None for score in scores.round(4).tolist()]


def _units(text: str, offset: int) -> int:
    return offset if text.isascii() else len(text[:offset].encode("utf-16-le", "surrogatepass")) // 2


def _indexed(values: Sequence[str]) -> dict[str, list[Any]]:
    names = sorted(set(values))
    places = {name: place for place, name in enumerate(names)}
    return {"values": names, "index": [places[value] for value in values]}


def _policy(template: str) -> str:
    """The content security policy: this style, this script, embedded pictures, and nothing else."""
    rules = []
    for tag in ("style", "script"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", template, re.DOTALL)[1]
        rules.append(f"{tag}-src 'sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}'")
    return "; ".join(["default-src 'none'", "img-src data:", *rules, "base-uri 'none'", "form-action 'none'"])
