"""Tables in files: Parquet, Arrow, JSON, JSON Lines, CSV, TSV, also gzipped. Streamed as records with their place."""

import csv
import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from fluency.utils.errors import UserError

Record = dict[str, Any]
Records = Iterator[tuple[int, "Record | BadLine"]]
T = TypeVar("T")

_SPLIT_WORDS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation",
                "val": "validation", "dev": "validation", "test": "test"}  # fmt: skip
_BATCH = 1000  # records of a Parquet file in memory at once
PIPE = Path("-")  # standard input, or output: JSON Lines
csv.field_size_limit(sys.maxsize)  # an endless field is a row to reject, not a file that cannot be read


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no record."""

    reason: str
    text: str


def suffix_of(file: Path) -> str:
    """The suffix that tells the container, in lower case: `.jsonl` of `train.jsonl` and of `train.JSONL.gz`."""
    if file == PIPE:
        return ".jsonl"
    return (Path(file.stem).suffix if zipped(file) else file.suffix).lower()


def zipped(file: Path) -> bool:
    """Whether the file is gzipped, by its suffix."""
    return file.suffix.lower() == ".gz"


def read_records(file: Path, *, delimiter: str | None = None) -> Records:
    """Stream a table's records, or bad lines, each with its line (in binary tables: row) number from 1.

    Args:
        delimiter: between the cells of a delimited file, where it is another than the suffix says.

    Raises:
        UserError: the file is missing, cut off, not UTF-8, or its quoting is broken.
    """
    with explained(file):
        yield from READERS[suffix_of(file)](file) if delimiter is None else _delimited(file, delimiter)


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`, the last of what is left."""
    items = iter(items)
    return iter(lambda: list(islice(items, size)), [])


def read_lines(file: Path) -> Iterator[tuple[int, str | BadLine]]:
    """Stream the lines of a text file, plain or gzipped, without their line feeds, numbered from 1.

    Only a line feed ends a line: JSON text may hold U+2028 and its like unescaped.

    Raises:
        UserError: the file is missing or cut off.
    """
    with explained(file), _opened(file) as lines:
        for number, line in enumerate(lines, 1):
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line  # a byte order mark
            content = content.removesuffix(b"\n").removesuffix(b"\r")
            try:
                yield number, content.decode("utf-8")
            except UnicodeDecodeError as error:
                yield number, BadLine(f"not UTF-8; {error.reason}", content.decode("utf-8", "backslashreplace"))


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Tell a file that cannot be read in one line."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 ({error.reason}); save it as UTF-8") from None
    except (pa.ArrowException, zlib.error, EOFError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{file}: cannot be read ({reason})") from None


def _opened(file: Path) -> IO[bytes]:
    if file == PIPE:
        return os.fdopen(0, "rb", closefd=False)  # /dev/stdin would not open a socket
    return gzip.open(file) if zipped(file) else file.open("rb")


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


def _arrow(file: Path) -> Records:
    """A shard of a data set's `save_to_disk` folder."""
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as batches:
        yield from enumerate((record for batch in batches for record in records_of(file, batch)), 1)


def records_of(file: Path, batch: pa.RecordBatch) -> list[Record]:
    """The rows of a batch from `file`."""
    check_columns(file, batch.schema.names)
    for place, field in enumerate(batch.schema):
        # as text: Arrow knows moments that Python does not
        if pa.types.is_temporal(field.type) and not pa.types.is_interval(field.type):
            batch = batch.set_column(place, field.name, batch.column(place).cast(pa.string()))
    return batch.to_pylist()


def check_columns(file: Path, columns: Sequence[str]) -> None:
    """Let no table pass whose columns share a name.

    Raises:
        UserError: two of them do.
    """
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise UserError(f"{file}: two columns are called {twice[:80]!r}; rename one")


def _json_lines(file: Path) -> Records:
    for number, line in read_lines(file):
        if isinstance(line, BadLine):
            yield number, line
        elif line.strip():
            yield number, _json_record(line)


def _json_record(line: str) -> Record | BadLine:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:  # among them numbers of too many digits
        return BadLine(f"not JSON; {getattr(error, 'msg', error)}", line)
    return record if isinstance(record, dict) else BadLine("not a JSON object", line)


def _json(file: Path) -> Records:
    with _opened(file) as content:
        text = content.read().decode("utf-8-sig")
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise UserError(f"{file}: not JSON (line {error.lineno}: {error.msg})") from None
        yield from _json_lines(file)  # a record a line, as some tools call .json too
        return
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not JSON ({error})") from None
    yield from enumerate(map(_json_item, _list_of_records(file, whole)), 1)


def _list_of_records(file: Path, whole: Any) -> list[Any]:
    """The list itself, that of the one key that has one, or those of all splits one after the other."""
    if isinstance(whole, list):
        return whole
    lists = {key: its for key, its in whole.items() if isinstance(its, list)} if isinstance(whole, dict) else {}
    lists = {key: its for key, its in lists.items() if any(isinstance(item, dict) for item in its)} or lists
    if len(lists) == 1:
        return next(iter(lists.values()))
    if lists and all(split_of(key) for key in lists):
        return [
            item | {"split": key} if isinstance(item, dict) else item for key, items in lists.items() for item in items
        ]
    keys = ", ".join(lists)[:200] or "none"
    raise UserError(f"{file}: one list of records is needed, or one for each split (lists found: {keys})")


def _json_item(item: Any) -> Record | BadLine:
    return item if isinstance(item, dict) else BadLine("not a JSON object", json.dumps(item))


def split_of(name: str) -> str | None:
    """The split that a name stands for (`train-00000-of-00001`, `dev`), or None."""
    words = re.split(r"[._\-\s]", name.lower())
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), None)


def _delimited(file: Path, delimiter: str | None = None) -> Records:
    delimiter = delimiter or {".csv": ",", ".tsv": "\t"}[suffix_of(file)]
    tabs = delimiter == "\t"
    with _opened(file) as content, io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True, delimiter=delimiter)
        try:
            columns = [name.strip() for name in next(reader, [])]
            check_columns(file, columns)
            line = reader.line_num + 1
            for cells in reader:
                if cells:  # an empty line is no row
                    yield line, _row(columns, cells, tabs)
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(
                f"{file}: line {reader.line_num}: broken quoting ({error}); JSON Lines needs none"
            ) from None


def _row(columns: list[str], cells: list[str], tabs: bool) -> Record | BadLine:
    if len(cells) != len(columns):
        return BadLine(f"not as many cells as columns; {len(cells)} and {len(columns)}", json.dumps(cells))
    if tabs and any("\t" in cell or "\n" in cell for cell in cells):  # an unquoted table, whose quotes are text
        return BadLine("a quote runs over several cells or lines", json.dumps(cells))
    return dict(zip(columns, cells, strict=True))


READERS = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _delimited,
    ".tsv": _delimited,
}
