"""Tables in files: Parquet, JSON Lines, CSV and TSV, as records with their place."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fluency.errors import UserError

SUFFIXES = (".parquet", ".jsonl", ".csv", ".tsv")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no record."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A file's content.

    Attributes:
        columns: the names of the columns; of JSON Lines, those of the first record.
        records: each record, or bad line, with its line (in Parquet: row) number from 1.
    """

    columns: frozenset[str]
    records: list[tuple[int, Record | BadLine]]


def read_table(file: Path) -> Table:
    """Read a table; the suffix tells the format.

    Raises:
        UserError: the file is missing, cut off, not UTF-8, or its quoting is broken.
    """
    try:
        if file.suffix == ".parquet":
            table = pq.read_table(file)
            return Table(frozenset(table.column_names), list(enumerate(table.to_pylist(), 1)))
        text = file.read_text(encoding="utf-8")
    except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file}: cannot be read ({str(error).splitlines()[0]})") from None
    return _json_lines(text) if file.suffix == ".jsonl" else _delimited(file, text)


def _json_lines(text: str) -> Table:
    # Not splitlines(): JSON text may hold U+2028 and its like unescaped.
    records = [(number, _json_record(line)) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    first = next((record for _, record in records if isinstance(record, dict)), {})
    return Table(frozenset(first), records)


def _json_record(line: str) -> Record | BadLine:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        return BadLine(f"not JSON: {error.msg}", line)
    return record if isinstance(record, dict) else BadLine("not a JSON object", line)


def _delimited(file: Path, text: str) -> Table:
    delimiter = "\t" if file.suffix == ".tsv" else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    try:
        return Table(frozenset(reader.fieldnames or ()), [(reader.line_num, record) for record in reader])
    except csv.Error as error:
        raise UserError(f"{file}: line {reader.line_num}: broken CSV ({error})") from None
