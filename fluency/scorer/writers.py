"""Tables go out in the container that the suffix tells, a record at a time and always in the same bytes."""

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from fluency.corpus.readers import Record, suffix_of, zipped
from fluency.utils.errors import UserError
from fluency.utils.files import parquet_sink

Add = Callable[[Record], None]


@contextmanager
def table_sink(path: Path, name: Path, schema: pa.Schema) -> Iterator[Add]:
    """Yield a function that appends one record; memory stays flat.

    Args:
        path: the file to write.
        name: what it will be called; its suffix tells the container.
        schema: the columns, and for Parquet their types.

    Raises:
        UserError: Parquet cannot hold a record.
    """
    if suffix_of(name) == ".parquet":
        with explained_misfit(name), parquet_sink(path, schema) as add:
            yield lambda record: add(tuple(record.get(column) for column in schema.names))
    else:
        with path.open("wb") as raw, _zipping(raw) if zipped(name) else nullcontext(raw) as file:
            yield _TEXTS[suffix_of(name)](file, schema.names)


@contextmanager
def explained_misfit(file: Path) -> Iterator[None]:
    """Tell in one line what the columns of a Parquet file cannot hold."""
    try:
        yield
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: Parquet cannot hold these rows ({reason}); write JSON Lines") from None


def json_line(record: Record) -> bytes:
    """A record as a line of JSON; what JSON doesn't know (a Decimal, bytes) stands as text."""
    try:
        return json.dumps(record, ensure_ascii=False, default=str).encode() + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, which can only be escaped
        return json.dumps(record, default=str).encode() + b"\n"


def _zipping(raw: IO[bytes]) -> gzip.GzipFile:
    return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0)  # no name and no time in it


def _json_lines(file: IO[bytes], columns: Sequence[str]) -> Add:
    return lambda record: file.write(json_line(record))


def _delimited(delimiter: str) -> Callable[[IO[bytes], Sequence[str]], Add]:
    special = re.compile(f'[{delimiter}"\r\n]')

    def writer(file: IO[bytes], columns: Sequence[str]) -> Add:
        def write(cells: Iterable[str]) -> None:
            # the csv module leaves a carriage return unquoted, and cannot read it then
            quoted = ('"' + cell.replace('"', '""') + '"' if special.search(cell) else cell for cell in cells)
            file.write(f"{delimiter.join(quoted)}\n".encode("utf-8", "backslashreplace"))

        write(columns)
        return lambda record: write(_cell(record.get(column)) for column in columns)

    return writer


def _cell(value: Any) -> str:
    """What is no text stands as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


_TEXTS: dict[str, Callable[[IO[bytes], Sequence[str]], Add]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
}
CONTAINERS = (*_TEXTS, ".parquet")
