"""Scoring of whole tables, in files, folders and pipes. Rows leave in the order in which they came.

A table is looked over before the model is asked, scored in parts that a killed run goes on from (`parts`), and written
whole at the end (`table_files`).
"""

import hashlib
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from fluency.corpus.delimited import check_columns
from fluency.corpus.lines import PIPE, BadLine, explained, suffix_of
from fluency.corpus.readers import Record, T, in_chunks, read_batches, read_records
from fluency.edits.forms import EDIT_COLUMNS, AnyEdit, CannotScore, from_record
from fluency.scorer.parts import Note, Parts, claimed
from fluency.scorer.table_files import (
    KNOWN,
    Table,
    check_results,
    explained_misfit,
    is_table,
    rejected_file,
    scored_rows,
    state_of,
    write_scored,
)
from fluency.utils.errors import UserError
from fluency.utils.files import sha256

if TYPE_CHECKING:
    from fluency.scorer.scorer import FluencyScorer, Outcome

_AT_ONCE = 4096  # rows that are looked over together
Progress = Callable[[int, bool], None]  # told how many rows have a score now, and whether they had one before


def look_over(source: Path, target: Path = PIPE) -> Table:
    """Look over the table in `source`, whose scored rows are to go to `target`: an hour later is too late to complain.

    Raises:
        UserError: the file cannot be read, would be replaced, or is no table; no row has an edit in its columns; the
            columns that scoring adds are there already; a name or a row cannot be written.
    """
    state = state_of(source)
    for file in (source, target):
        if not is_table(file):
            raise UserError(f"{file}: its suffix names no kind of table; {KNOWN}")
    for file in () if target == PIPE else (target, rejected_file(target)):
        if file.is_dir():
            raise UserError(f"{file}: is a folder; name a file")
        if file.exists() and file.samefile(source):
            raise UserError(f"{file}: would replace what is to be scored; name another file")
    if suffix_of(source) == ".parquet":
        with explained(source):
            rows, schema = pq.read_metadata(source).num_rows, pq.read_schema(source)
        check_columns(source, schema.names)
    else:
        rows, schema = _read_through(source, target if suffix_of(target) == ".parquet" else None)
    check_results(source, schema.names)
    if schema.names:
        try:
            from_record(dict.fromkeys(schema.names))
        except CannotScore as error:
            raise UserError(f"{source}: {error}; it has {', '.join(schema.names)[:300]}") from None
    return Table(source, target, rows, schema, state)


def score_table(scorer: "FluencyScorer", table: Table, *, threshold: float, progress: Progress) -> Counter:
    """Score a table, its rows that have no score into `rejected_file(table.target)`.

    Rows that the same model scored before are not scored again; another threshold decides anew. A scored table that
    stands there as it would be written is left alone.

    Args:
        threshold: scores from it on are accepted.

    Returns:
        How many rows were `scored` and how many `rejected`.

    Raises:
        UserError: another run is writing the target, or the source changes meanwhile.
    """
    with claimed(table.target) as folder:
        parts = Parts(folder, _key(scorer, table.source))
        if (written := parts.written()) and written == _written(table.target, threshold, written["counts"]):
            progress(table.rows, True)
            return Counter(written["counts"])
        numbers = _finish(parts, scorer, table, progress)
        table.check_unchanged()
        counts = write_scored(table, (note for part in numbers for note in parts.notes(part)), threshold)
        parts.write_down(_written(table.target, threshold, counts))
    return counts


def score_pipe(scorer: "FluencyScorer", source: Path, target: Path, *, threshold: float, progress: Progress) -> Counter:
    """Score a table as it comes, from or to a pipe: what is scored leaves at once, as JSON Lines.

    Args:
        source, target: one of them is a pipe, or both are.
        threshold: scores from it on are accepted.

    Returns:
        How many rows were `scored` and how many `rejected`.

    Raises:
        UserError: another run is writing `target`, or a row has a column that scoring adds.
    """
    rows = read_records(source)
    chunks = as_they_come(rows, scorer.at_once) if source == PIPE else in_chunks(rows, scorer.at_once)
    waiting: deque[list[tuple[int, Record | BadLine]]] = deque()

    def edits() -> Iterator[list[AnyEdit | CannotScore]]:
        for chunk in chunks:
            waiting.append(chunk)
            yield [_edit_of(item) for _, item in chunk]

    held = nullcontext() if target == PIPE else claimed(target)
    with held, scored_rows(target, pa.schema([]), threshold) as (put, counts):
        for outcomes in scorer.score_chunks(edits()):
            for (line, item), outcome in zip(waiting.popleft(), outcomes, strict=True):
                check_results(source, () if isinstance(item, BadLine) else item)
                put(line, item, _note(outcome))
            sys.stdout.flush()
            sys.stderr.flush()
            progress(len(outcomes), False)
    return counts


def as_they_come(items: Iterator[T], most: int) -> Iterator[list[T]]:
    """What is there, at most so many at a time; when nothing is, an empty list, and then what comes next."""
    waiting: Queue[T | BaseException] = Queue(most)

    def fill() -> None:
        try:
            for item in items:
                waiting.put(item)
            waiting.put(StopIteration())
        except BaseException as error:
            waiting.put(error)

    Thread(target=fill, daemon=True).start()
    chunk: list[T] = []
    while not isinstance(item := waiting.get(), BaseException):
        chunk.append(item)
        nothing = waiting.empty()
        if nothing or len(chunk) == most:
            yield chunk
            chunk = []
        if nothing:
            yield []
    yield from (chunk, [])
    if not isinstance(item, StopIteration):
        raise item


def _finish(parts: Parts, scorer: "FluencyScorer", table: Table, progress: Progress) -> range:
    """Score the rows of the parts that are missing; returns the numbers of all parts."""
    sizes = [min(scorer.at_once, table.rows - first) for first in range(0, table.rows, scorer.at_once)]
    missing = {part: size for part, size in enumerate(sizes) if len(parts.notes(part)) != size}
    progress(table.rows - sum(missing.values()), True)

    def edits() -> Iterator[list[AnyEdit | CannotScore]]:
        chunks = enumerate(in_chunks(_edits(table.source), scorer.at_once))
        for part, chunk in islice(chunks, max(missing, default=-1) + 1):
            if part in missing:
                yield chunk

    for part, outcomes in zip(missing, scorer.score_chunks(edits()), strict=False):
        table.check_unchanged()  # or this would be kept as scores of what stood there before
        parts.add(part, [_note(outcome) for outcome in outcomes])
        progress(len(outcomes), False)
    return range(len(sizes))


def _read_through(source: Path, parquet: Path | None) -> tuple[int, pa.Schema]:
    """The rows and columns of a text table, with types that fit into the Parquet file that is to be made of it."""
    rows, columns, schema = 0, {}, pa.schema([])
    for chunk in in_chunks(read_records(source), _AT_ONCE):
        records = [record for _, record in chunk if not isinstance(record, BadLine)]
        here = dict.fromkeys(name for record in records for name in record)
        rows, columns = rows + len(chunk), columns | here
        if parquet:
            with explained_misfit(parquet):
                types = [(name, pa.array([record.get(name) for record in records]).type) for name in here]
                schema = pa.unify_schemas([schema, pa.schema(types)], promote_options="permissive")
    if parquet is None:
        try:
            return rows, pa.schema([(name, pa.null()) for name in columns])
        except UnicodeEncodeError:  # a lone surrogate
            raise UserError(f"{source}: a column's name is no Unicode text; rename it") from None
    with explained_misfit(parquet):
        pq.ParquetWriter(pa.BufferOutputStream(), schema).close()  # some types it cannot hold at all
    return rows, schema


def _written(target: Path, threshold: float, counts: Counter) -> dict[str, object]:
    """What is noted of a table that was written, in the values that JSON gives back."""
    files = [list(state_of(file)) if file.exists() else None for file in (target, rejected_file(target))]
    return {"threshold": threshold, "counts": dict(counts), "files": files}


def _key(scorer: "FluencyScorer", source: Path) -> str:
    """A name that two runs share only if they give every row the same score."""
    calibration, device = scorer.calibration, scorer.classifier.device
    model = calibration.temperature, calibration.max_length, sorted(calibration.files.items())
    way = device.type, device.bf16, scorer.at_once
    return hashlib.sha256(repr((model, way, suffix_of(source), sha256(source))).encode()).hexdigest()[:16]


def _edits(source: Path) -> Iterator[AnyEdit | CannotScore]:
    if suffix_of(source) != ".parquet":
        return (_edit_of(item) for _, item in read_records(source))
    columns = [name for name in pq.read_schema(source).names if name in EDIT_COLUMNS]
    return (_edit_of(record) for batch in read_batches(source, columns) for record in batch.to_pylist())


def _edit_of(item: Record | BadLine) -> AnyEdit | CannotScore:
    if isinstance(item, BadLine):
        return CannotScore(item.reason)
    try:
        return from_record(item)
    except CannotScore as error:
        return error


def _note(outcome: "Outcome") -> Note:
    return str(outcome) if isinstance(outcome, CannotScore) else outcome
