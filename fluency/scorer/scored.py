"""Scored tables: each row with its score, or beside the table, whole, with the reason why it has none."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fluency.corpus.readers import PIPE, BadLine, Record, read_batches, read_records, records_of, suffix_of
from fluency.scorer.journal import Note
from fluency.scorer.survey import RESULTS, rejected_file
from fluency.scorer.writers import Add, json_line, table_sink
from fluency.utils.files import written_aside

_ROW_GROUP = 10_000  # rows of a Parquet file in memory at once


@dataclass
class Counts:
    """What became of the rows: each is in one of the two."""

    scored: int = 0
    rejected: int = 0

    def __iadd__(self, other: "Counts") -> "Counts":
        self.scored += other.scored
        self.rejected += other.rejected
        return self


class Sink:
    """Where rows go, by what was noted of them; `scored_sink` opens it.

    Attributes:
        counts: of the rows so far.
    """

    def __init__(self, add: Add, rejects: IO[bytes], threshold: float) -> None:
        self._add, self._rejects, self._threshold = add, rejects, threshold
        self.counts = Counts()

    def put(self, line: int, item: Record | BadLine, note: Note) -> None:
        """Write one row, which stood in `line`."""
        if isinstance(note, str):
            row = item.text if isinstance(item, BadLine) else item
            self._rejects.write(json_line({"line": line, "reason": note, "row": row}))
            self.counts.rejected += 1
        else:
            self._add(item | dict(zip(RESULTS, (note, note >= self._threshold), strict=True)))
            self.counts.scored += 1


@contextmanager
def scored_sink(target: Path, schema: pa.Schema, threshold: float) -> Iterator[Sink]:
    """Open a scored table and the file of its rejected rows; both appear at the end, or not at all.

    Args:
        target: the table; a pipe's rejected rows go to standard error.
        schema: of the rows as they came.
        threshold: scores from it on are accepted.
    """
    if target == PIPE:
        yield Sink(lambda record: sys.stdout.buffer.write(json_line(record)), sys.stderr.buffer, threshold)
    else:
        with _aside(target) as (aside, rejects), table_sink(aside, target, _with_results(schema)) as add:
            yield Sink(add, rejects, threshold)


def write_scored(source: Path, target: Path, notes: Iterator[Note], schema: pa.Schema, threshold: float) -> Counts:
    """Write the scored table of `source` from what was noted of its rows.

    Args:
        schema, threshold: as for `scored_sink`.
    """
    if suffix_of(source) == suffix_of(target) == ".parquet":
        return _write_parquet(source, target, notes, schema, threshold)
    with scored_sink(target, schema, threshold) as sink:
        for (line, item), note in zip(read_records(source), notes, strict=True):
            sink.put(line, item, note)
    return sink.counts


def _write_parquet(source: Path, target: Path, notes: Iterator[Note], schema: pa.Schema, threshold: float) -> Counts:
    """As `write_scored`, from Parquet to Parquet: whatever the columns hold, they stay as they are."""
    schema, counts, row = _with_results(schema), Counts(), 0
    with _aside(target) as (aside, file), pq.ParquetWriter(aside, schema) as writer:
        rejects = Sink(lambda _: None, file, threshold)
        for batch in read_batches(source, size=_ROW_GROUP):
            its = list(islice(notes, len(batch)))
            scored = pa.array([not isinstance(note, str) for note in its], pa.bool_())
            refused = [(line, note) for line, note in enumerate(its, row + 1) if isinstance(note, str)]
            records = records_of(source, batch.filter(pc.invert(scored)))
            for (line, reason), record in zip(refused, records, strict=True):
                rejects.put(line, record, reason)
            scores = pa.array([note for note in its if not isinstance(note, str)], pa.float64())
            columns = [*batch.filter(scored).columns, scores, pc.greater_equal(scores, threshold)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            counts += Counts(len(scores), len(refused))
            row += len(batch)
    return counts


def _with_results(schema: pa.Schema) -> pa.Schema:
    for name, kind in RESULTS.items():
        schema = schema.append(pa.field(name, kind))
    return schema


@contextmanager
def _aside(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Where to write the table, and an open file for its rejected rows."""
    side = rejected_file(target)
    with written_aside(side) as rejects, written_aside(target) as aside, rejects.open("wb") as file:
        yield aside, file
    if not side.stat().st_size:
        side.unlink()
