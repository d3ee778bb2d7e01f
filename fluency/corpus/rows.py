"""The canonical rows of a corpus, and those that were rejected: what they hold, and their files."""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fluency.utils.errors import UserError
from fluency.utils.files import parquet_sink

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
    [
        ("reason", pa.string()),
        ("corpus", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("row", pa.string()),
    ]
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
    """A row that was not used: why (`category; details`), where it stands, and the row itself as text."""

    reason: str
    corpus: str
    file: str
    line: int
    row: str

    @classmethod
    def of(cls, row: Row, reason: str) -> "Rejected":
        """A canonical row that gives no pair, whole."""
        whole = json.dumps(dict(zip(ROW_SCHEMA.names, row_values(row), strict=True)), ensure_ascii=False)
        return cls(reason, row.corpus, row.file, row.line, whole)


def category(reason: str) -> str:
    """The part of a reason that rows have in common; details follow a semicolon."""
    return reason.partition(";")[0]


row_values = attrgetter(*ROW_SCHEMA.names)
rejected_values = attrgetter(*REJECTED_SCHEMA.names)


def write_rows(items: Iterable[Row | Rejected], corpora: Collection[str], folder: Path) -> dict[str, dict[str, int]]:
    """Write rows.parquet and rejected.parquet, streamed; returns how many `rows` and `rejected` each corpus has.

    Raises:
        UserError: a corpus has no usable row.
    """
    counts = {corpus: {"rows": 0, "rejected": 0} for corpus in corpora}
    first: dict[str, Rejected] = {}
    with (
        parquet_sink(folder / "rows.parquet", ROW_SCHEMA) as add_row,
        parquet_sink(folder / "rejected.parquet", REJECTED_SCHEMA) as add_rejected,
    ):
        for item in items:
            if isinstance(item, Row):
                add_row(row_values(item))
                counts[item.corpus]["rows"] += 1
            else:
                add_rejected(rejected_values(item))
                counts[item.corpus]["rejected"] += 1
                first.setdefault(item.corpus, item)
    for corpus, its in counts.items():
        if not its["rows"]:
            one = first.get(corpus)
            why = f" (the first, {one.file} line {one.line}: {one.reason})" if one else ""
            raise UserError(
                f"data.source: {corpus}: no usable row, {its['rejected']} rejected{why}; "
                "check data.format and data.tasks"
            )
    return counts


def rows_at(raw: Path, numbers: np.ndarray) -> Iterator[Row]:
    """The rows of these ascending numbers in the rows.parquet of the folder `raw`."""
    done = 0
    if len(numbers):
        with pq.ParquetFile(raw / "rows.parquet") as file:
            for batch in file.iter_batches(batch_size=10_000, use_threads=False):
                wanted = numbers[(numbers >= done) & (numbers < done + len(batch))] - done
                yield from (Row(**record) for record in batch.take(pa.array(wanted)).to_pylist())
                done += len(batch)
