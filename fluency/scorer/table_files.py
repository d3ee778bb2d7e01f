"""Scored tables as files, in the container that the suffix tells.

Each row goes out with its score, or whole to a file beside the table, with the reason why it has none. The same rows
give the same bytes.
"""

import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fluency.corpus.lines import PIPE, BadLine, compression_of, explained, suffix_of
from fluency.corpus.readers import Record, read_batches, read_records, records_of
from fluency.scorer.parts import Note
from fluency.utils.errors import UserError
from fluency.utils.files import parquet_sink, written_aside

RESULTS = {"score": pa.float64(), "accepted": pa.bool_()}  # the columns that scoring adds
CONTAINERS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
KNOWN = f"known are {', '.join(CONTAINERS)}, the text ones also with .gz"

_ROW_GROUP = 10_000  # rows of a Parquet file in memory at once
Add = Callable[[Record], object]
Put = Callable[[int, Record | BadLine, Note], None]


@dataclass(frozen=True)
class Table:
    """What was seen of a table before it is scored.

    Attributes:
        source, target: the file, and the one that its scored rows go to.
        rows: records and bad lines.
        schema: all columns, in the order in which they come up; their types where source or target is Parquet.
        state: size and time of change of the source.
    """

    source: Path
    target: Path
    rows: int
    schema: pa.Schema
    state: tuple[int, int]

    def check_unchanged(self) -> None:
        """Raise UserError if the source is another file now."""
        if state_of(self.source) != self.state:
            raise UserError(f"{self.source}: changed while it was scored; score it again")


def is_table(file: Path) -> bool:
    """Whether the suffix tells a container that can be read and written."""
    compressions = (None,) if suffix_of(file) == ".parquet" else (None, ".gz")
    return suffix_of(file) in CONTAINERS and compression_of(file) in compressions


def rejected_file(target: Path) -> Path:
    """Where the rows go that have no score: `scored.csv.rejected.jsonl` of `scored.csv`, whatever stands beside it."""
    return target.with_name(f"{target.name}.rejected.jsonl")


def check_results(source: Path, columns: Collection[str]) -> None:
    """Let no column pass that scoring would write over."""
    for name in RESULTS:
        if name in columns:
            raise UserError(f"{source}: there is a column {name!r} already, which scoring adds; rename it")


def state_of(file: Path) -> tuple[int, int]:
    """Size and time of change, by which it shows that a file is another one now."""
    with explained(file):
        state = file.stat()
    return state.st_size, state.st_mtime_ns


def write_scored(table: Table, notes: Iterator[Note], threshold: float) -> Counter:
    """Write the scored table from the outcomes of its rows.

    Args:
        threshold: scores from it on are accepted.

    Returns:
        How many rows were `scored` and how many `rejected`.

    Raises:
        UserError: the source changes meanwhile.
    """
    if suffix_of(table.source) == suffix_of(table.target) == ".parquet":
        return _write_parquet(table, notes, threshold)
    with scored_rows(table.target, table.schema, threshold) as (put, counts):
        for (line, item), note in zip(read_records(table.source), notes, strict=False):
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
            if isinstance(note, str):
                row = item.text if isinstance(item, BadLine) else item
                rejects.write(_json_line({"line": line, "reason": note, "row": row}))
            else:
                add(item | dict(zip(RESULTS, (note, note >= threshold), strict=True)))
            counts["rejected" if isinstance(note, str) else "scored"] += 1

        yield put, counts


def _write_parquet(table: Table, notes: Iterator[Note], threshold: float) -> Counter:
    """As `write_scored`, from Parquet to Parquet: whatever the columns hold, they stay as they are."""
    schema, counts, first = _with_results(table.schema), Counter(scored=0, rejected=0), 1
    with _aside(table.target) as (aside, rejects), pq.ParquetWriter(aside, schema) as writer:
        for batch in read_batches(table.source, size=_ROW_GROUP):
            its = list(islice(notes, len(batch)))
            has_score = pa.array([not isinstance(note, str) for note in its], pa.bool_())
            refused = [(line, note) for line, note in enumerate(its, first) if isinstance(note, str)]
            records = records_of(table.source, batch.filter(pc.invert(has_score)))
            for (line, reason), record in zip(refused, records, strict=True):
                rejects.write(_json_line({"line": line, "reason": reason, "row": record}))
            scores = pa.array([note for note in its if not isinstance(note, str)], pa.float64())
            columns = [*batch.filter(has_score).columns, scores, pc.greater_equal(scores, threshold)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            counts += Counter(scored=len(scores), rejected=len(refused))
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
    if kind == ".parquet":
        with explained_misfit(name), parquet_sink(path, schema) as add:
            yield lambda record: add(tuple(record.get(column) for column in schema.names))
        return
    with path.open("wb") as raw, _zipping(raw) if compression_of(name) else nullcontext(raw) as file:
        if kind in (".jsonl", ".ndjson"):
            yield lambda record: file.write(_json_line(record))
        else:
            mark = {".csv": ",", ".tsv": "\t"}[kind]
            file.write(_delimited(schema.names, mark))
            yield lambda record: file.write(_delimited((_cell(record.get(name)) for name in schema.names), mark))


@contextmanager
def explained_misfit(file: Path) -> Iterator[None]:
    """Say in one line what the columns of a Parquet file cannot hold."""
    try:
        yield
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: Parquet cannot hold these rows ({reason}); write JSON Lines") from None


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
