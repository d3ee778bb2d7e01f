"""Tables in files: Parquet, Arrow, JSON, JSON Lines, CSV, TSV, also gzipped. Streamed as records with their place."""

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from fluency.errors import UserError

Record = dict[str, Any]
Records = Iterator[tuple[int, "Record | BadLine"]]

_BATCH = 1000  # records of a Parquet file in memory at once
csv.field_size_limit(sys.maxsize)  # an endless field is a row to reject, not a file that cannot be read


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no record."""

    reason: str
    text: str


def suffix_of(file: Path) -> str:
    """The suffix that tells the container: `.jsonl` of `train.jsonl` and of `train.jsonl.gz`."""
    return Path(file.stem).suffix if file.suffix == ".gz" else file.suffix


def read_records(file: Path) -> Records:
    """Stream a table's records, or bad lines, each with its line (in binary tables: row) number from 1.

    Raises:
        UserError: the file is missing, cut off, not UTF-8, or its quoting is broken.
    """
    with explained(file):
        yield from READERS[suffix_of(file)](file)


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
        raise UserError(f"{file}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except (pa.ArrowException, zlib.error, EOFError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{file}: cannot be read ({reason})") from None


def _opened(file: Path) -> IO[bytes]:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")


def _parquet(file: Path) -> Records:
    with pq.ParquetFile(file) as table:
        batches = table.iter_batches(batch_size=_BATCH, use_threads=False)
        yield from enumerate((record for batch in batches for record in batch.to_pylist()), 1)


def _arrow(file: Path) -> Records:
    """A shard of a data set's `save_to_disk` folder."""
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as batches:
        yield from enumerate((record for batch in batches for record in batch.to_pylist()), 1)


def _json_lines(file: Path) -> Records:
    for number, line in read_lines(file):
        if isinstance(line, BadLine):
            yield number, line
        elif line.strip():
            yield number, _json_record(line)


def _json_record(line: str) -> Record | BadLine:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return BadLine(f"not JSON; {getattr(error, 'msg', error)}", line)
    return record if isinstance(record, dict) else BadLine("not a JSON object", line)


def _json(file: Path) -> Records:
    with _opened(file) as content:
        try:
            records = json.loads(content.read().decode("utf-8-sig"))
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(f"{file}: not JSON ({error})") from None
    if isinstance(records, dict):  # {"data": [...]}, as some tools write it
        records = next((value for value in records.values() if isinstance(value, list)), None)
    if not isinstance(records, list):
        raise UserError(f"{file}: a list of records is needed; a record a line is .jsonl")
    for number, record in enumerate(records, 1):
        is_record = isinstance(record, dict)
        yield number, record if is_record else BadLine("not a JSON object", json.dumps(record))


def _delimited(file: Path) -> Records:
    delimiter = "\t" if suffix_of(file) == ".tsv" else ","
    with _opened(file) as content, io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True, delimiter=delimiter)
        try:
            columns = next(reader, [])
            for cells in reader:
                if len(cells) == len(columns):
                    yield reader.line_num, dict(zip(columns, cells, strict=True))
                elif cells:  # an empty line is no row
                    reason = f"not as many cells as columns; {len(cells)} and {len(columns)}"
                    yield reader.line_num, BadLine(reason, delimiter.join(cells))
        except csv.Error as error:
            raise UserError(f"{file}: line {reader.line_num}: broken CSV ({error}); check its quoting") from None


READERS = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".jsonl": _json_lines,
    ".json": _json,
    ".csv": _delimited,
    ".tsv": _delimited,
}
