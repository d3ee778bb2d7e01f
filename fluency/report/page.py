"""The report people read: results/report.html, the figures and every test edit in one file that needs no network.

The template beside this module has all markup, the style and the script. Figures are escaped, and the edits are JSON,
column by column, which the script shows as text. So nothing of a corpus is ever read as markup.
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
from markupsafe import Markup

from fluency.evaluation.calibration import Calibration
from fluency.evaluation.comparison import compare
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.predictions import join, on_the_same_pairs
from fluency.evaluation.scored_pairs import Pairs, ScoredPairs
from fluency.report.page_tables import (
    attack_table,
    certified_table,
    challenge_table,
    checks_table,
    comparison_tables,
    decimal,
    judges_table,
    number,
    slices_table,
    thresholds_table,
    tiles,
    unbroken,
    worst_slices_table,
)
from fluency.report.summary import spoken
from fluency.utils.files import read_json, read_parquet, write_text
from fluency.utils.templates import render, template_of

OUTCOMES = ("false positive", "false negative", "true positive", "true negative")  # in the order of the page
_FACETS = ("kind", "edit_type", "part", "corpus")
_UNSAFE = re.compile("[<>&\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # in a script element, or in UTF-8


@dataclass(frozen=True)
class Entry:
    """What the page shows of one judge of the test pairs: the model, the baseline, a language model.

    Attributes:
        name: what the page calls it.
        scored: its scores and decisions, of some or all of the pairs.
        figures: as metrics/test.json has them.
    """

    name: str
    scored: ScoredPairs
    figures: Mapping[str, Any]


def read_entries(pairs: Pairs, results: Path, metrics: Path) -> list[Entry]:
    """The model and the baselines, in the files that the pipeline writes.

    Args:
        pairs: the test pairs.
        results, metrics: the folders of those names.
    """
    files = {"model": results / "predictions.parquet"}
    files |= {spoken(path.stem): path for path in sorted((results / "baseline").glob("*.parquet"), reverse=True)}
    figures = {"model": read_json(metrics / "test.json")}
    figures |= {spoken(name): its for name, its in read_json(metrics / "baseline.json").items()}
    return [Entry(name, join(read_parquet(path), pairs, path.name), figures[name]) for name, path in files.items()]


def write_report(
    path: str | Path,
    entries: Sequence[Entry],
    params: EvaluateParams,
    *,
    calibration: Calibration,
    slices: Sequence[Mapping[str, Any]],
    challenge: Mapping[str, Any],
    attack: Mapping[str, Any],
    pictures: Mapping[str, Path],
) -> None:
    """Write the page. The same arguments give the same bytes.

    Args:
        path: of the page.
        entries: the judges; the page shows every pair of the first one, its mistakes first, and compares it with the
            others on the pairs that both have.
        params: for the intervals of the differences.
        calibration: of the first judge: its certificate, and thresholds to choose from.
        slices: of the first judge (`slices.slices`).
        challenge: as metrics/challenge.json has it.
        attack: as metrics/attack.json has it.
        pictures: PNG files, by their captions.
    """
    model, *others = entries
    outcomes = _outcomes(model.scored)
    counts = np.bincount(outcomes, minlength=4).tolist()
    comparisons = {other.name: compare(*on_the_same_pairs(other.scored, model.scored), params) for other in others}
    confidence, certified = calibration.certificate.confidence, model.figures.get("certified", {})
    failures = [*worst_slices_table(slices, model.figures), *challenge_table(challenge, "lengths")]
    failures += attack_table(attack)
    thresholds = thresholds_table(calibration.curve, calibration.threshold, confidence)
    sections = [
        _section("failures", "Where it fails", failures),
        _section("thresholds", "Choose a threshold", [*thresholds, *certified_table(certified, confidence)]),
        _section("comparisons", "Is it better?", comparison_tables(comparisons, model.name)),
        _section("figures", "Figures", judges_table({entry.name: entry.figures for entry in entries})),
        _section("checks", "Direction and identity", checks_table(model.figures.get("checks", {}))),
        _section("slices", "Every slice", [*slices_table(slices, model.figures), *challenge_table(challenge, "kinds")]),
        _section("curves", "Curves", [], pictures),
    ]
    page = render(
        __file__,
        filters={"number": number, "decimal": decimal, "unbroken": unbroken},
        policy=_policy(template_of(__file__).read_text(encoding="utf-8")),
        read=sum(counts),
        threshold=model.figures["operating_point"]["threshold"],
        tiles=tiles(model.figures, calibration.certificate, counts),
        sections=sections,
        false_positives=counts[0],
        edits=Markup(edits_json(entries, outcomes)),  # noqa: S704 (escaped for a script element there)
    )
    write_text(path, page)


def _section(
    name: str, title: str, tables: list[dict[str, Any]], pictures: Mapping[str, Path] | None = None
) -> dict[str, Any]:
    """A section of the page; one that holds nothing is left out."""
    embedded = [(caption, b64encode(Path(path).read_bytes()).decode()) for caption, path in (pictures or {}).items()]
    return {"id": name, "title": title, "tables": tables, "pictures": embedded}


def _outcomes(scored: ScoredPairs) -> np.ndarray:
    """Indices into `OUTCOMES`, of shape [pairs]."""
    fluent, accepted = scored.labels == 1, scored.accepted
    return np.select([accepted & ~fluent, ~accepted & fluent, accepted], [0, 1, 2], 3)


def edits_json(entries: Sequence[Entry], outcomes: np.ndarray) -> str:
    """The edits as JSON that may stand in a script element: columns of a value, or an index to values, a pair.

    Offsets count UTF-16 units, as JavaScript does. Labels, decisions and the sentences after the edit follow from the
    other columns. A pair that a judge has no score of has null.
    """
    pairs = entries[0].scored.pairs
    columns = {
        "judges": [
            {"name": entry.name, "threshold": entry.figures["operating_point"]["threshold"]} for entry in entries
        ],
        "scores": [_scores(entry.scored, pairs) for entry in entries],
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


def _scores(scored: ScoredPairs, pairs: Pairs) -> list[float | None]:
    scores = dict(zip((pair["id"] for pair in scored.pairs), scored.scores.round(4).tolist(), strict=True))
    return [scores.get(pair["id"]) for pair in pairs]


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
