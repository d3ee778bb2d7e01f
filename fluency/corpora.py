"""Readers of corpus formats. Every row becomes a canonical row or a rejected one with its reason and place."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fluency.edits import Edit, occurrences
from fluency.errors import UserError
from fluency.sources import Fetched

SPLITS = ("train", "validation", "test")
RELATIONS = ("sentence", "correction", "rewrite", "labelled")

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

Record = dict[str, Any]
_REFERENCE = {"original_sentence", "inappropriate_part", "rewritten_part", "expected_score"}
_BEFORE_AFTER = {"before", "after", "label"}
_TEXT_PAIR = {"text1", "text2", "label"}


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
    columns, records = _records(file)
    wanted, reader = next(((wanted, reader) for wanted, reader in _READERS if wanted <= columns), (None, None))
    if reader is None:
        known = "; ".join(", ".join(sorted(wanted)) for wanted, _ in _READERS)
        raise UserError(
            f"{file}: no known format in columns {', '.join(sorted(columns))}; one of these is needed: {known}"
        )
    parsed = list(records)
    sentences = _sentences(record for _, record in parsed if wanted == _REFERENCE and isinstance(record, dict))
    for line, record in parsed:
        if isinstance(record, Rejected):
            yield Rejected(record.reason, name, line, record.row)
            continue
        try:
            fields = reader(record, sentences)
        except (ValueError, TypeError) as error:
            row = json.dumps(record, ensure_ascii=False, default=str)
            yield Rejected(str(error), name, line, row)
            continue
        kind = str(record.get("kind") or "unknown")
        part = str(record.get("part") or record.get("source") or corpus)
        split = split_of(str(record.get("split"))) or split_of(name)
        yield Row("labelled", **fields, kind=kind, part=part, corpus=corpus, split=split, file=name, line=line)


def _records(file: Path) -> tuple[set[str], Iterator[tuple[int, Record | Rejected]]]:
    """The columns of a table and its records with their line (or row) number from 1."""
    try:
        if file.suffix == ".parquet":
            table = pq.read_table(file)
            return set(table.column_names), iter(enumerate(table.to_pylist(), 1))
        text = file.read_text(encoding="utf-8")
    except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file}: cannot be read ({str(error).splitlines()[0]})") from None
    if file.suffix == ".jsonl":
        records = [(number, _json_record(line)) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        first = next((record for _, record in records if isinstance(record, dict)), {})
        return set(first), iter(records)
    reader = csv.DictReader(
        io.StringIO(text, newline=""), strict=True, delimiter="\t" if file.suffix == ".tsv" else ","
    )
    try:
        return set(reader.fieldnames or ()), iter([(reader.line_num, record) for record in reader])
    except csv.Error as error:
        raise UserError(f"{file}: line {reader.line_num}: broken CSV ({error})") from None


def _json_record(line: str) -> Record | Rejected:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        return Rejected(f"not JSON: {error.msg}", "", 0, line)
    return record if isinstance(record, dict) else Rejected("not a JSON object", "", 0, line)


def _sentences(records: Iterator[Record]) -> set[str]:
    return {record["original_sentence"] for record in records if isinstance(record.get("original_sentence"), str)}


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


def _reference_edit(record: Record, sentences: set[str]) -> Record:
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


def _labelled_pair(before: str, after: str) -> Callable[[Record, set[str]], Record]:
    def read(record: Record, _: set[str]) -> Record:
        return {"before": _text(record, before), "after": _text(record, after), "start": None, "removed": None,
                "inserted": None, "label": _label(record.get("label"))}  # fmt: skip

    return read


_READERS: tuple[tuple[set[str], Callable[[Record, set[str]], Record]], ...] = (
    (_REFERENCE, _reference_edit),
    (_BEFORE_AFTER, _labelled_pair("before", "after")),
    (_TEXT_PAIR, _labelled_pair("text1", "text2")),
)
