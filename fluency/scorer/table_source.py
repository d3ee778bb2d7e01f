"""The table that is to be scored: how its rows hold edits, and a look over it before the model is asked."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fluency.corpus.delimited import check_columns, columns_of
from fluency.corpus.lines import PIPE, BadLine, compression_of, explained, suffix_of
from fluency.corpus.readers import Record, Records, arrow_batches, in_chunks, read_batches, read_records
from fluency.edits.forms import EDIT_COLUMNS, AnyEdit, CannotScore, from_record
from fluency.utils.errors import UserError

RESULTS = {"score": pa.float64(), "accepted": pa.bool_(), "reason": pa.string()}  # the columns that scoring adds
TYPED = (".parquet", ".arrow")  # containers whose columns have types
CONTAINERS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", *TYPED)
KNOWN = f"known are {', '.join(CONTAINERS)}, the text ones also with .gz"

_AT_ONCE = 4096  # rows that are looked over together
_PLAIN = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


@dataclass(frozen=True)
class Layout:
    """How a table holds its edits, where neither its columns' names nor its suffix tell.

    Attributes:
        before, after: the columns of the sentences, if they have names of their own; both or none.
        delimiter: between the cells of a CSV file; None for the suffix's.
    """

    before: str | None = None
    after: str | None = None
    delimiter: str | None = None

    def edit_of(self, item: Record | BadLine) -> AnyEdit | CannotScore:
        """The edit in a row, or why there is none."""
        if isinstance(item, BadLine):
            return CannotScore(item.reason)
        try:
            named = {name.strip(): value for name, value in item.items()} | item
            return from_record(named if self.before is None else self._renamed(named))
        except CannotScore as error:
            return CannotScore(f"{error}; there are {', '.join(item)[:300] or 'none'}")

    def _renamed(self, item: Record) -> Record:
        for column in (self.before, self.after):
            if column not in item:
                raise CannotScore(f"no column {column}")
        return {"before": item[self.before], "after": item[self.after]}

    def read(self, source: Path) -> Records:
        """The rows of a table, with their lines."""
        return read_records(source, delimiter=self.delimiter if suffix_of(source) in (".csv", ".tsv") else None)

    def columns(self, source: Path) -> list[str]:
        """The columns that a table names before its rows."""
        if suffix_of(source) not in (".csv", ".tsv"):
            return []
        with explained(source):
            return columns_of(source, self.delimiter)

    def edits(self, source: Path) -> Iterator[AnyEdit | CannotScore]:
        """The edits of a table; of a typed one, only their columns are read."""
        if suffix_of(source) != ".parquet":
            return (self.edit_of(item) for _, item in self.read(source))
        wanted = EDIT_COLUMNS if self.before is None else {self.before, self.after}
        columns = [name for name in pq.read_schema(source).names if wanted & {name, name.strip()}]
        return (self.edit_of(record) for batch in read_batches(source, columns) for record in batch.to_pylist())


AS_NAMED = Layout()


@dataclass(frozen=True)
class Table:
    """What was seen of a table before it is scored.

    Attributes:
        source, target: the file, and the one that its scored rows go to.
        rows: records and bad lines.
        schema: all columns, in the order in which they come up; their types where source or target has any.
        state: size and time of change of the source.
        layout: how its rows hold edits.
    """

    source: Path
    target: Path
    rows: int
    schema: pa.Schema
    state: tuple[int, int]
    layout: Layout

    def check_unchanged(self) -> None:
        """Raise UserError if the source is another file now."""
        if state_of(self.source) != self.state:
            raise UserError(f"{self.source}: changed while it was scored; score it again")


def is_table(file: Path) -> bool:
    """Whether the suffix tells a container that can be read and written."""
    compressions = (None,) if suffix_of(file) in TYPED else (None, ".gz")
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


def batches_of(source: Path, size: int) -> Iterator[pa.RecordBatch]:
    """A typed table in batches of at most `size` rows."""
    if suffix_of(source) == ".parquet":
        yield from read_batches(source, size=size)
        return
    with arrow_batches(source) as (schema, batches):
        for batch in batches:
            plain = batch.cast(_without_views(schema))
            yield from (plain.slice(first, size) for first in range(0, len(batch), size))


def _without_views(schema: pa.Schema) -> pa.Schema:
    """The schema with plain texts: Polars writes views, which Arrow cannot filter and Parquet cannot hold."""
    for place, field in enumerate(schema):
        schema = schema.set(place, field.with_type(_PLAIN.get(field.type, field.type)))
    return schema


def look_over(source: Path, target: Path = PIPE, layout: Layout = AS_NAMED) -> Table:
    """Look over the table in `source`, whose scored rows are to go to `target`: an hour later is too late to complain.

    Raises:
        UserError: the file cannot be read, would be replaced, or is no table; no row has an edit in its columns; the
            columns that scoring adds are there already; a name or a row cannot be written.
    """
    state = state_of(source)
    for file in () if target == PIPE else (target, rejected_file(target)):
        if file.is_dir():
            raise UserError(f"{file}: is a folder; name a file")
        if file.exists() and file.samefile(source):
            raise UserError(f"{file}: would replace what is to be scored; name another file")
    for file in (source, target):
        if not is_table(file):
            raise UserError(f"{file}: its suffix names no kind of table; {KNOWN}")
    above = next(folder for folder in target.parents if folder.exists())
    if target != PIPE and not (above.is_dir() and os.access(above, os.W_OK)):
        raise UserError(f"{target}: nothing can be written into {above}; name another place")
    if suffix_of(source) in TYPED:
        rows, schema = _rows_and_schema(source)
        check_columns(source, schema.names)
    else:
        rows, schema = _read_through(source, layout, target if suffix_of(target) in TYPED else None)
    check_results(source, schema.names)
    if suffix_of(target) in TYPED:
        _check_held(target, source, schema)
    if schema.names and isinstance(problem := layout.edit_of(dict.fromkeys(schema.names)), CannotScore):
        raise UserError(f"{source}: {problem}")
    return Table(source, target, rows, schema, state, layout)


def _rows_and_schema(source: Path) -> tuple[int, pa.Schema]:
    if suffix_of(source) == ".parquet":
        with explained(source):
            return pq.read_metadata(source).num_rows, pq.read_schema(source)
    with arrow_batches(source) as (schema, batches):
        return sum(map(len, batches)), _without_views(schema)


def _check_held(target: Path, source: Path, schema: pa.Schema) -> None:
    """Raise UserError if a typed file cannot hold such columns, or Arrow cannot take rows from those of `source`."""
    with explained_misfit(target):
        if suffix_of(target) == ".parquet":
            pq.ParquetWriter(pa.BufferOutputStream(), schema).close()
        for batch in islice(batches_of(source, 1), 1) if suffix_of(source) in TYPED else ():
            batch.filter(pa.array([False] * len(batch), pa.bool_()))


def _read_through(source: Path, layout: Layout, typed: Path | None) -> tuple[int, pa.Schema]:
    """The rows and columns of a text table, with types that fit into the typed file that is to be made of it."""
    names = layout.columns(source)
    rows, columns, schema = 0, dict.fromkeys(names), pa.schema([(name, pa.string()) for name in names])
    for chunk in in_chunks(layout.read(source), _AT_ONCE):
        records = [record for _, record in chunk if not isinstance(record, BadLine)]
        here = dict.fromkeys(name for record in records for name in record)
        rows, columns = rows + len(chunk), columns | here
        if typed:
            with explained_misfit(typed):
                types = [(name, pa.array([record.get(name) for record in records]).type) for name in here]
                schema = pa.unify_schemas([schema, pa.schema(types)], promote_options="permissive")
    if typed is None:
        try:
            return rows, pa.schema([(name, pa.null()) for name in columns])
        except UnicodeEncodeError:  # a lone surrogate
            raise UserError(f"{source}: a column's name is no Unicode text; rename it") from None
    return rows, schema


@contextmanager
def explained_misfit(file: Path) -> Iterator[None]:
    """Say in one line what the columns of a Parquet or Arrow file cannot hold."""
    try:
        yield
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        reason, kind = str(error).splitlines()[0], suffix_of(file).removeprefix(".").capitalize()
        raise UserError(f"{file}: {kind} cannot hold these rows ({reason}); write JSON Lines") from None
