"""The canonical row of a corpus, and the row that was rejected."""

import json
from dataclasses import asdict, dataclass
from operator import attrgetter

import pyarrow as pa

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
        return cls(reason, row.corpus, row.file, row.line, json.dumps(asdict(row), ensure_ascii=False))


def category(reason: str) -> str:
    """The part of a reason that rows have in common; details follow a semicolon."""
    return reason.partition(";")[0]


row_values = attrgetter(*ROW_SCHEMA.names)
rejected_values = attrgetter(*REJECTED_SCHEMA.names)
