"""Tables in files: Parquet, Arrow, JSON, JSON Lines, CSV, TSV, text also compressed. Streamed as records."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from fluency.corpus.delimited import check_columns, read_delimited
from fluency.corpus.lines import BadLine, check_is_text, explained, opened, read_lines, suffix_of
from fluency.corpus.split_names import splits_in
from fluency.utils.errors import UserError

Record = dict[str, Any]
Records = Iterator[tuple[int, "Record | BadLine"]]
T = TypeVar("T")

_BATCH = 1000  # records of a Parquet file in memory at once


def read_records(file: Path, *, delimiter: str | None = None) -> Records:
    """Stream a table's records, or bad lines, each with its line (in binary tables: row) number from 1.

    Args:
        delimiter: between the cells of a delimited file, where it is another than the suffix says.

    Raises:
        UserError: the file is missing, cut off, not UTF-8, or its quoting is broken.
    """
    with explained(file):
        yield from READERS[suffix_of(file)](file) if delimiter is None else read_delimited(file, delimiter)


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`, the last of what is left."""
    items = iter(items)
    return iter(lambda: list(islice(items, size)), [])


def _parquet(file: Path) -> Records:
    yield from enumerate((record for batch in read_batches(file) for record in records_of(file, batch)), 1)


def read_batches(file: Path, columns: Sequence[str] | None = None, *, size: int = _BATCH) -> Iterator[pa.RecordBatch]:
    """Stream a Parquet file in batches of at most `size` rows, of all columns or those named.

    Raises:
        UserError: the file is missing or is no Parquet.
    """
    # buffered: a row group may hold a million rows, and would be read whole
    with explained(file), pq.ParquetFile(file, buffer_size=2**20, pre_buffer=False) as table:
        yield from table.iter_batches(batch_size=size, columns=columns, use_threads=False)


@contextmanager
def arrow_batches(file: Path) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """The schema and the batches of a shard of `save_to_disk`, which is a stream, or of an Arrow file (Feather).

    Raises:
        UserError: it is neither.
    """
    with explained(file), pa.memory_map(str(file)) as source:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source)
        yield table.schema, map(table.get_batch, range(table.num_record_batches)) if is_file else iter(table)


def _arrow(file: Path) -> Records:
    with arrow_batches(file) as (_, batches):
        yield from enumerate((record for batch in batches for record in records_of(file, batch)), 1)


def schema_of(file: Path) -> pa.Schema | None:
    """The schema of a table that has one.

    Raises:
        UserError: the file cannot be read.
    """
    if suffix_of(file) == ".parquet":
        with explained(file):
            return pq.read_schema(file)
    if suffix_of(file) in (".arrow", ".feather"):
        with arrow_batches(file) as (schema, _):
            return schema
    return None


def records_of(file: Path, batch: pa.RecordBatch) -> list[Record]:
    """The rows of a batch from `file`."""
    check_columns(file, batch.schema.names)
    for place, field in enumerate(batch.schema):
        if (plain := _without_moments(field.type)) != field.type:
            batch = batch.set_column(place, field.name, batch.column(place).cast(plain))
    try:
        return batch.to_pylist()
    except ValueError as error:  # a struct with two fields of one name
        raise UserError(f"{file}: cannot be read ({error})") from None


def _without_moments(kind: pa.DataType) -> pa.DataType:
    """The type with text in the place of moments, at any depth: Arrow knows moments that Python does not."""
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return pa.string()
    if pa.types.is_dictionary(kind):
        plain = _without_moments(kind.value_type)
        return kind if plain == kind.value_type else plain
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_without_moments(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_without_moments(kind.key_type), _without_moments(kind.item_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(_without_moments(kind.value_type))
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_without_moments(kind.value_type), getattr(kind, "list_size", -1))
    return kind


def _object(fields: list[tuple[str, Any]]) -> "Record | BadLine":
    record = dict(fields)
    if len(record) == len(fields):
        return record
    names = [name for name, _ in fields]
    twice = next(name for name in names if names.count(name) > 1)
    text = ", ".join(f"{_written(name)}: {_written(value)}" for name, value in fields)
    return BadLine(f"a field twice; two fields are called {twice[:80]!r}", f"{{{text}}}")


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=attrgetter("text"))


def _checked(value: Any) -> Record | BadLine:
    """The value, if it is a record; a bad line at any depth of it makes it one."""
    inside = [value]
    for its in inside:  # which grows
        if isinstance(its, BadLine):
            return its if its is value else BadLine(its.reason, _written(value))
        inside += its.values() if isinstance(its, dict) else its if isinstance(its, list) else ()
    return value if isinstance(value, dict) else BadLine("not a JSON object", _written(value))


def _json_lines(file: Path) -> Records:
    for number, line in read_lines(file):
        if isinstance(line, BadLine):
            yield number, line
        elif line.strip():
            yield number, _json_record(line)


def _json_record(line: str) -> Record | BadLine:
    try:
        record = _checked(_DECODER.decode(line))
    except (ValueError, RecursionError) as error:  # among them numbers of too many digits
        return BadLine(f"not JSON; {getattr(error, 'msg', error)}", line)
    return BadLine(record.reason, line) if isinstance(record, BadLine) else record


def _json(file: Path) -> Records:
    with opened(file) as lines:
        content = lines.read()
    check_is_text(file, content)
    text = content.decode("utf-8-sig")
    try:
        whole = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise UserError(f"{file}: not JSON (line {error.lineno}: {error.msg})") from None
        yield from _json_lines(file)  # a record a line, as some tools call .json too
        return
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not JSON ({error})") from None
    yield from enumerate(map(_checked, _list_of_records(file, whole)), 1)


def _list_of_records(file: Path, whole: Any) -> list[Any]:
    """The list itself, that of the one key that has one, those of the splits one after the other, or one record."""
    if isinstance(whole, list | BadLine):
        return whole if isinstance(whole, list) else [whole]
    if not isinstance(whole, dict):
        raise UserError(f"{file}: a list of records is needed; found {whole!r}"[:500])
    lists = {
        key: its
        for key, its in whole.items()
        if isinstance(its, list) and any(isinstance(item, dict | BadLine) for item in its)
    }
    if lists and all(map(splits_in, lists)):
        return [
            item | {"split": key} if isinstance(item, dict) else item for key, items in lists.items() for item in items
        ]
    if len(lists) == 1:
        return next(iter(lists.values()))
    if lists:
        keys = ", ".join(lists)[:200]
        raise UserError(f"{file}: one list of records is needed, or one for each split (lists found: {keys})")
    if len(whole) > 1 and all(isinstance(value, dict | list | BadLine) for value in whole.values()):
        keys = ", ".join(whole)[:200]
        raise UserError(f"{file}: a list of records is needed, as pandas writes with orient='records' (found: {keys})")
    return [whole]


READERS = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".feather": _arrow,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": read_delimited,
    ".tsv": read_delimited,
}
