"""Readers of corpus formats. Every row becomes a canonical row or a rejected one with its reason and place."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from fluency.edits import Edit, occurrences
from fluency.errors import UserError
from fluency.sources import Fetched
from fluency.tables import BadLine, Record, Table, read_table

SPLITS = ("train", "validation", "test")

ROW_SCHEMA = pa.schema(
    [
        ("relation", pa.string()),
        ("before", pa.string()),
        ("after", pa.string()),
        ("start", pa.int64()),
        ("removed", pa.string()),
        ("inserted", pa.string()),
        ("label", pa.int64()),
        ("kind", pa.string()),
        ("part", pa.string()),
        ("corpus", pa.string()),
        ("split", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
    ]
)
REJECTED_SCHEMA = pa.schema(
    [("reason", pa.string()), ("file", pa.string()), ("line", pa.int64()), ("row", pa.string())]
)


@dataclass(frozen=True, slots=True)
class Row:
    """One canonical row of a corpus.

    Attributes:
        relation: `sentence` (fluent, `before` alone), `correction` (`before` has a mistake, `after` has none),
            `rewrite` (both fluent) or `labelled` (one direction with a label of its own).
        before, after: the sentences; `after` is None for a sentence.
        start, removed, inserted: the edit where the corpus gives it, else None.
        label: 1 fluent, 0 not; None unless `labelled`.
        kind: kind of mistake or change, `unknown` where the corpus doesn't say.
        part, corpus, split: where it belongs; `split` is None where the corpus has no splits.
        file, line: its place, counted from 1.
    """

    relation: str
    before: str
    after: str | None
    start: int | None
    removed: str | None
    inserted: str | None
    label: int | None
    kind: str
    part: str
    corpus: str
    split: str | None
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not used: why, where it stands, and the row itself as text."""

    reason: str
    file: str
    line: int
    row: str


Read = Iterator[Row | Rejected]


def read_corpus(fetched: Fetched, corpus: str) -> tuple[list[Row], list[Rejected]]:
    """Read all files of a source.

    Raises:
        UserError: a file cannot be read at all, or has none of the known sets of columns.
    """
    rows: list[Row] = []
    rejected: list[Rejected] = []
    for file in fetched.files:
        name = file.relative_to(fetched.root).as_posix()
        items = _read_sample(file, name) if file.suffix == ".txt" else _read_table(file, name, corpus)
        for item in items:
            (rows if isinstance(item, Row) else rejected).append(item)
    if not rows:
        raise UserError(
            f"data.source: {corpus}: no usable row in {len(fetched.files)} file(s), {len(rejected)} rejected"
        )
    return rows, rejected


def as_dict(item: Row | Rejected) -> dict[str, Any]:
    """The item as a plain dict, for Parquet."""
    return asdict(item)


# --- The sample's own format: a sentence a line, an edit as [left|right] (data/sample/README.md) ---

_EDITED = re.compile(r"([-=]) (\w+): ([^\[\]|]*)\[([^\[\]|]*)\|([^\[\]|]*)\]([^\[\]|]*)")


def _read_sample(file: Path, name: str) -> Read:
    part = file.parent.name
    place = {"part": part, "corpus": "sample", "split": None, "file": name}
    no_edit = {"after": None, "start": None, "removed": None, "inserted": None, "label": None}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _EDITED.fullmatch(line)
        if not match:
            if re.search(r"[\[\]|]", line) or line.startswith(("- ", "= ")):
                yield Rejected("neither a sentence nor `- kind: text [left|right] text`", name, number, line)
            else:
                yield Row("sentence", line, **no_edit, kind="plain", line=number, **place)
            continue
        mark, kind, head, left, right, tail = match.groups()
        fluent, other = head + left + tail, head + right + tail
        if mark == "=":
            edit = {"start": len(head), "removed": left, "inserted": right}
            yield Row("rewrite", fluent, other, **edit, label=None, kind=kind, line=number, **place)
        else:
            edit = {"start": len(head), "removed": right, "inserted": left}
            yield Row("correction", other, fluent, **edit, label=None, kind=kind, line=number, **place)


# --- Tables: Parquet, JSON Lines, CSV, TSV; the columns tell the format ---

_REFERENCE = frozenset({"original_sentence", "inappropriate_part", "rewritten_part", "expected_score"})
_BEFORE_AFTER = frozenset({"before", "after", "label"})
_TEXT_PAIR = frozenset({"text1", "text2", "label"})


def split_of(name: str) -> str | None:
    """The split that a file or folder name stands for (`data/train-00000-of-00001.parquet`), or None."""
    for word in re.split(r"[/._\-]", name.lower()):
        if word in ("train", "training"):
            return "train"
        if word in ("validation", "valid", "val", "dev"):
            return "validation"
        if word == "test":
            return "test"
    return None


def _read_table(file: Path, name: str, corpus: str) -> Read:
    table = read_table(file)
    wanted, reader = next(((wanted, reader) for wanted, reader in _READERS if wanted <= table.columns), (None, None))
    if reader is None:
        known = "; ".join(", ".join(sorted(wanted)) for wanted, _ in _READERS)
        found = ", ".join(sorted(table.columns)) or "none"
        raise UserError(f"{file}: no known format in its columns ({found}); one of these is needed: {known}")
    sentences = _sentences(table) if wanted == _REFERENCE else frozenset()
    for line, record in table.records:
        if isinstance(record, BadLine):
            yield Rejected(record.reason, name, line, record.text)
            continue
        try:
            fields = reader(record, sentences)
        except ValueError as error:
            yield Rejected(str(error), name, line, json.dumps(record, ensure_ascii=False, default=str))
            continue
        kind = str(record.get("kind") or "unknown")
        part = str(record.get("part") or record.get("source") or corpus)
        split = split_of(str(record.get("split"))) or split_of(name)
        yield Row("labelled", **fields, kind=kind, part=part, corpus=corpus, split=split, file=name, line=line)


def _sentences(table: Table) -> frozenset[str]:
    records = [record for _, record in table.records if isinstance(record, dict)]
    return frozenset(text for record in records if isinstance(text := record.get("original_sentence"), str))


def _text(record: Record, column: str, *, blank: bool = False) -> str:
    value = record.get(column)
    if not isinstance(value, str):
        raise ValueError(f"{column}: expected text, found {value!r}")
    if not blank and not value.strip():
        raise ValueError(f"{column}: empty")
    return value


def _label(value: Any) -> int:
    if isinstance(value, str | int | float) and str(value).strip() in ("0", "1", "0.0", "1.0"):
        return int(float(value))
    raise ValueError(f"label {value!r} is neither 0 nor 1")


def _reference_edit(record: Record, sentences: frozenset[str]) -> Record:
    """The reference's schema tells which words are replaced, not where.

    Where they stand more than once, that place is taken which gives a sentence that the corpus has too (its edits
    mostly come with their reverse), else the first, as the reference does.
    """
    before = _text(record, "original_sentence")
    removed = _text(record, "inappropriate_part", blank=True)
    inserted = _text(record, "rewritten_part", blank=True)
    if not removed:
        raise ValueError("inappropriate_part: empty, so the place of the edit is unknown")
    edits = [Edit(start, removed, inserted) for start in occurrences(removed, before)]
    if not edits:
        raise ValueError(f"inappropriate_part {removed!r} does not occur in the sentence")
    edit = next((edit for edit in edits if edit.apply(before) in sentences), edits[0])
    return {"before": before, "after": edit.apply(before), "start": edit.start, "removed": removed,
            "inserted": inserted, "label": _label(record.get("expected_score"))}  # fmt: skip


def _labelled_pair(before: str, after: str) -> Callable[[Record, frozenset[str]], Record]:
    def read(record: Record, _: frozenset[str]) -> Record:
        return {"before": _text(record, before), "after": _text(record, after), "start": None, "removed": None,
                "inserted": None, "label": _label(record.get("label"))}  # fmt: skip

    return read


_READERS: tuple[tuple[frozenset[str], Callable[[Record, frozenset[str]], Record]], ...] = (
    (_REFERENCE, _reference_edit),
    (_BEFORE_AFTER, _labelled_pair("before", "after")),
    (_TEXT_PAIR, _labelled_pair("text1", "text2")),
)
