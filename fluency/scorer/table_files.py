"""Scored tables as files, in the container that the suffix tells.

Each row goes out with its score, or whole to a file beside the table, with the reason why it has none. The same rows
give the same bytes.
"""

import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain, islice, repeat
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fluency.corpus.lines import PIPE, BadLine, compression_of, suffix_of
from fluency.corpus.readers import Record, records_of
from fluency.scorer.parts import Note
from fluency.scorer.table_source import RESULTS, TYPED, Table, batches_of, explained_misfit, rejected_file
from fluency.utils.files import parquet_sink, written_aside

_ROW_GROUP, _ARROW_BATCH = 10_000, 1_000  # rows in memory at once
Add = Callable[[Record], object]
Put = Callable[[int, Record | BadLine, Note], None]


def write_scored(table: Table, notes: Iterator[Note], threshold: float) -> Counter:
    """Write the scored table from the outcomes of its rows.

    Args:
        threshold: scores from it on are accepted.

    Returns:
        How many rows were `scored` and how many `rejected`.

    Raises:
        UserError: the source changes meanwhile.
    """
    if suffix_of(table.source) in TYPED and suffix_of(table.target) in TYPED:
        return _write_typed(table, notes, threshold)
    with scored_rows(table.target, table.schema, threshold) as (put, counts):
        for (line, item), note in zip(table.layout.read(table.source), notes, strict=False):
            put(line, item, note)
        table.check_unchanged()  # so there were as many outcomes as rows
    return counts


@contextmanager
def scored_rows(target: Path, schema: pa.Schema, threshold: float) -> Iterator[tuple[Put, Counter]]:
    """Open a scored table and the file of its rejected rows; both appear at the end, or not at all.

    Args:
        target: the table; a pipe's rejected rows go to standard error.
        schema: of the rows as they came.
        threshold: scores from it on are accepted.

    Yields:
        A function that takes a row with the line it stood in and its outcome, and the counts so far.
    """
    counts = Counter(scored=0, rejected=0)
    with _opened(target, schema) as (add, rejects):

        def put(line: int, item: Record | BadLine, note: Note) -> None:
            if note.score is None:
                row = item.text if isinstance(item, BadLine) else item
                rejects.write(_json_line({"line": line, "reason": note.reason, "row": row}))
            else:
                add(item | dict(zip(RESULTS, _results(note, threshold), strict=True)))
            counts["rejected" if note.score is None else "scored"] += 1

        yield put, counts


def _results(note: Note, threshold: float) -> tuple[float, bool, str | None]:
    """The values of `RESULTS`."""
    return note.score, note.reason is None and note.score >= threshold, note.reason


def _write_typed(table: Table, notes: Iterator[Note], threshold: float) -> Counter:
    """As `write_scored`, between Parquet and Arrow: whatever the columns hold, they stay as they are."""
    schema, counts, first = _with_results(table.schema), Counter(scored=0, rejected=0), 1
    create = pq.ParquetWriter if suffix_of(table.target) == ".parquet" else pa.ipc.new_stream
    with _aside(table.target) as (aside, rejects), create(str(aside), schema) as writer:
        for batch in batches_of(table.source, _ROW_GROUP):
            its = list(islice(notes, len(batch)))
            has_score = pa.array([note.score is not None for note in its], pa.bool_())
            rejected = [(line, note.reason) for line, note in enumerate(its, first) if note.score is None]
            records = records_of(table.source, batch.filter(pc.invert(has_score)))
            for (line, reason), record in zip(rejected, records, strict=True):
                rejects.write(_json_line({"line": line, "reason": reason, "row": record}))
            results = [_results(note, threshold) for note in its if note.score is not None]
            added = [pa.array([row[place] for row in results], kind) for place, kind in enumerate(RESULTS.values())]
            columns = [*batch.filter(has_score).columns, *added]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            counts += Counter(scored=len(results), rejected=len(rejected))
            first += len(batch)
        table.check_unchanged()
    return counts


@contextmanager
def _opened(target: Path, schema: pa.Schema) -> Iterator[tuple[Add, IO[bytes]]]:
    """A function that adds a row to the table, and the open file of rejected rows."""
    if target == PIPE:
        yield lambda record: sys.stdout.buffer.write(_json_line(record)), sys.stderr.buffer
    else:
        with _aside(target) as (aside, rejects), _table(aside, target, _with_results(schema)) as add:
            yield add, rejects


@contextmanager
def _aside(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Where to write the table, and the open file of its rejected rows, which goes where there are none."""
    side = rejected_file(target)
    with written_aside(target) as aside:
        with written_aside(side) as rejects, rejects.open("wb") as file:
            yield aside, file
        if not side.stat().st_size:
            side.unlink()


def _with_results(schema: pa.Schema) -> pa.Schema:
    for name, kind in RESULTS.items():
        schema = schema.append(pa.field(name, kind))
    return schema


@contextmanager
def _table(path: Path, name: Path, schema: pa.Schema) -> Iterator[Add]:
    """Open the file `path`, which will be called `name`, to add records to; memory stays flat."""
    kind = suffix_of(name)
    if kind in TYPED:
        sink = parquet_sink if kind == ".parquet" else _arrow_sink
        with explained_misfit(name), sink(path, schema) as add:
            yield lambda record: add(tuple(record.get(column) for column in schema.names))
        return
    with path.open("wb") as raw, _zipping(raw) if compression_of(name) else nullcontext(raw) as file:
        if kind in (".jsonl", ".ndjson"):
            yield lambda record: file.write(_json_line(record))
        elif kind == ".json":
            marks = chain([b"[\n"], repeat(b","))
            yield lambda record: file.write(next(marks) + _json_line(record))
            file.write(b"]\n" if next(marks) == b"," else b"[]\n")
        else:
            mark = {".csv": ",", ".tsv": "\t"}[kind]
            file.write(_delimited(schema.names, mark))
            yield lambda record: file.write(_delimited((_cell(record.get(name)) for name in schema.names), mark))


@contextmanager
def _arrow_sink(path: Path, schema: pa.Schema) -> Iterator[Callable[[tuple[Any, ...]], None]]:
    """As `parquet_sink`, for an Arrow stream."""
    waiting: list[tuple[Any, ...]] = []

    def flush() -> None:
        columns = zip(zip(*waiting, strict=True), schema, strict=True)
        writer.write_batch(
            pa.RecordBatch.from_arrays([pa.array(values, field.type) for values, field in columns], schema=schema)
        )
        waiting.clear()

    def append(row: tuple[Any, ...]) -> None:
        waiting.append(row)
        if len(waiting) == _ARROW_BATCH:
            flush()

    with pa.ipc.new_stream(str(path), schema) as writer:
        yield append
        if waiting:
            flush()


def _zipping(raw: IO[bytes]) -> gzip.GzipFile:
    return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0)  # no name and no time in it


def _json_line(record: Record) -> bytes:
    """A record as a line of JSON; what JSON doesn't know (a Decimal, bytes) stands as text."""
    try:
        return json.dumps(record, ensure_ascii=False, default=str).encode() + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, which can only be escaped
        return json.dumps(record, default=str).encode() + b"\n"


def _delimited(cells: Iterable[str], mark: str) -> bytes:
    # the csv module leaves a carriage return unquoted, and cannot read it then
    quoted = ('"' + cell.replace('"', '""') + '"' if re.search(f'[{mark}"\r\n]', cell) else cell for cell in cells)
    return f"{mark.join(quoted)}\n".encode("utf-8", "backslashreplace")


def _cell(value: Any) -> str:
    """What is no text stands as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
