"""What a table to be scored holds, looked over before anything is scored: an hour later is too late to complain."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fluency.corpus.readers import (
    PIPE,
    BadLine,
    Record,
    check_columns,
    explained,
    in_chunks,
    read_records,
    suffix_of,
    zipped,
)
from fluency.edits.forms import CannotScore, from_record
from fluency.scorer.writers import CONTAINERS, explained_misfit
from fluency.utils.errors import UserError

RESULTS = {"score": pa.float64(), "accepted": pa.bool_()}  # the columns that scoring adds
KNOWN = f"known are {', '.join(CONTAINERS)}, the text ones also with .gz"
_AT_ONCE = 4096


@dataclass(frozen=True)
class Survey:
    """What was seen of a table.

    Attributes:
        rows: records and bad lines.
        schema: all columns, in the order in which they come up; their types where this or the scored table is Parquet.
        state: size and time of change of the file.
    """

    rows: int
    schema: pa.Schema
    state: tuple[int, int]


def survey(source: Path, target: Path = PIPE) -> Survey:
    """Look over the table in `source`, whose scored rows are to go to `target`.

    Raises:
        UserError: the file cannot be read, would be replaced, or is no table; no row has an edit in its columns; the
            columns that scoring adds are there already; a name or a row cannot be written.
    """
    state = state_of(source)
    for file in (source, target):
        if not is_table(file):
            raise UserError(f"{file}: its suffix tells no table; {KNOWN}")
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
    return Survey(rows, schema, state)


def rejected_file(target: Path) -> Path:
    """Where the rows go that have no score: `scored.csv.rejected.jsonl` of `scored.csv`, whatever stands beside it."""
    return target.with_name(f"{target.name}.rejected.jsonl")


def is_table(file: Path) -> bool:
    """Whether the suffix tells a container that can be read and written."""
    return suffix_of(file) in CONTAINERS and not (suffix_of(file) == ".parquet" and zipped(file))


def check_results(source: Path, columns: Collection[str]) -> None:
    """Let columns pass among which there are none of those that scoring adds.

    Raises:
        UserError: there is one.
    """
    for name in RESULTS:
        if name in columns:
            raise UserError(f"{source}: there is a column {name!r} already, which scoring adds; rename it")


def state_of(file: Path) -> tuple[int, int]:
    """Size and time of change, by which it shows that a file is another one now.

    Raises:
        UserError: there is no such file.
    """
    with explained(file):
        state = file.stat()
    return state.st_size, state.st_mtime_ns


def _read_through(source: Path, parquet: Path | None) -> tuple[int, pa.Schema]:
    """The rows and columns of a text table, with types that fit into the Parquet file that is to be made of it."""
    rows, columns, schema = 0, {}, pa.schema([])
    for chunk in in_chunks(read_records(source), _AT_ONCE):
        records = [record for _, record in chunk if not isinstance(record, BadLine)]
        here = dict.fromkeys(name for record in records for name in record)
        rows, columns = rows + len(chunk), columns | here
        if parquet:
            with explained_misfit(parquet):
                schema = _widened(schema, records, here)
    if parquet is None:
        try:
            return rows, pa.schema([(name, pa.null()) for name in columns])
        except UnicodeEncodeError:  # a lone surrogate
            raise UserError(f"{source}: a column's name is no Unicode text; rename it") from None
    with explained_misfit(parquet):
        pq.ParquetWriter(pa.BufferOutputStream(), schema).close()  # some types it cannot hold at all
    return rows, schema


def _widened(schema: pa.Schema, records: list[Record], columns: Mapping[str, object]) -> pa.Schema:
    """The schema that also holds these records."""
    types = [(name, pa.array([record.get(name) for record in records]).type) for name in columns]
    return pa.unify_schemas([schema, pa.schema(types)], promote_options="permissive")
