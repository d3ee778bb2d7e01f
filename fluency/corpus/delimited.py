"""CSV and TSV as records, also of cells between semicolons or bars, which the header tells.

The quotes of a TSV file are text, unless its header is quoted or they are doubled.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice, pairwise
from pathlib import Path

from fluency.corpus.lines import BadLine, opened, read_lines, suffix_of
from fluency.utils.errors import UserError

csv.field_size_limit(sys.maxsize)  # an endless field is a row to reject, not a file that cannot be read
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_LATE_QUOTE = re.compile(r'\s+".*"\s*', re.DOTALL)
# a row's line, the row, and whether it has fewer cells than there are columns
_Row = tuple[int, dict[str, str] | BadLine, bool]
_END: _Row = (0, BadLine("", ""), False)


def read_delimited(file: Path, delimiter: str | None = None) -> Iterator[tuple[int, dict[str, str] | BadLine]]:
    """Stream the rows under a header.

    Args:
        delimiter: between cells, where it is another than the suffix and the header say.

    Raises:
        UserError: broken quoting, or two columns of one name.
    """
    return _whole(islice(_lines(file, delimiter), 1, None))


def columns_of(file: Path, delimiter: str | None = None) -> list[str]:
    """The names in the header, of an empty file none; arguments and errors are those of `read_delimited`."""
    _, header, _ = next(_lines(file, delimiter), (1, {}, False))
    return list(header)


def _lines(file: Path, delimiter: str | None) -> Iterator[_Row]:
    """The header, as a row of its names, and the rows under it."""
    header = _header(file)
    delimiter = delimiter or _delimiter({".csv": ",", ".tsv": "\t"}[suffix_of(file)], header)
    tabs = delimiter == "\t"
    plain = tabs and not all(_QUOTED.fullmatch(cell) for cell in header.split("\t"))  # who quotes names quotes all
    return _tsv(file) if plain else _csv(file, delimiter, spaced=f"{delimiter} " in header)


def _whole(rows: Iterable[_Row]) -> Iterator[tuple[int, dict[str, str] | BadLine]]:
    """The rows, but for those that may be the half of one.

    Whatever cuts a row, as a line break in a cell without quotes does, leaves a part with too few cells, and beside it
    a part that looks whole.
    """
    beside = False
    for (line, row, short), (*_, next_is_short) in pairwise(chain(rows, [_END])):
        if isinstance(row, dict) and (beside or next_is_short):
            cells = json.dumps([*row.values()])
            row = BadLine("it stands beside a row of too few cells, so it may be a part of it", cells)
        yield line, row
        beside = short


def _csv(file: Path, delimiter: str, *, spaced: bool) -> Iterator[_Row]:
    """The rows of a table that may have quoted cells; of a `spaced` one, no cell begins with a space."""
    with opened(file) as content, io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True, delimiter=delimiter, skipinitialspace=spaced)
        try:
            columns = _columns(file, next(reader, []))
            yield 1, dict.fromkeys(columns, ""), False
            line = reader.line_num + 1
            for cells in reader:
                if len(cells) > 1 or any(map(str.strip, cells)):  # an empty line is no row
                    yield line, _row(columns, cells, _fault(cells, delimiter)), len(cells) < len(columns)
                line = reader.line_num + 1
        except csv.Error as error:
            reason = str(error).replace("\t", "\\t")
            raise UserError(
                f"{file}: line {reader.line_num}: broken quoting ({reason}); JSON Lines needs none"
            ) from None


def check_columns(file: Path, columns: list[str]) -> None:
    """Let no table pass whose columns share a name.

    Raises:
        UserError: two of them do.
    """
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise UserError(f"{file}: two columns are called {twice[:80]!r}; rename one")


def _columns(file: Path, cells: list[str]) -> list[str]:
    columns = [name.strip() for name in cells]
    check_columns(file, columns)
    return columns


def _row(columns: list[str], cells: list[str], fault: str | None = None) -> dict[str, str] | BadLine:
    if len(cells) != len(columns):
        fault = f"not as many cells as columns; {len(cells)} and {len(columns)}"
    elif cells[-1].strip() == columns[-1] and [cell.strip().removeprefix("\ufeff") for cell in cells] == columns:
        fault = "the header once more"
    return BadLine(fault, json.dumps(cells)) if fault else dict(zip(columns, cells, strict=True))


def _fault(cells: list[str], delimiter: str) -> str | None:
    """What is wrong with the quotes of a row."""
    if delimiter == "\t" and any("\t" in cell or "\n" in cell for cell in cells):
        return "a quote runs over several cells or lines"
    if any(map(_LATE_QUOTE.fullmatch, cells)):
        return "a space before a quote, so it may be no text; take it out"
    return None


def _header(file: Path) -> str:
    _, header = next(read_lines(file), (1, ""))
    return header if isinstance(header, str) else ""


def _delimiter(usual: str, header: str) -> str:
    """What stands between cells: where the usual mark is not in the header, another may be, as a spreadsheet has it."""
    return next((mark for mark in (usual, ";", "\t", "|", ",") if mark in header), usual)


def _tsv(file: Path) -> Iterator[_Row]:
    """A row a line. A cell is taken out of its quotes only where it holds doubled ones, as no text does."""
    columns: list[str] | None = None
    inside = False  # a quoted cell that an earlier line has begun
    for number, line in read_lines(file):
        if isinstance(line, BadLine):
            if columns is None:
                raise UserError(f"{file}: line {number}: {line.reason}; save it as UTF-8, with line feeds")
            yield number, line, line.text.count("\t") + 1 < len(columns)
            continue
        cells = line.split("\t")
        if columns is None:
            columns = _columns(file, cells)
            yield number, dict.fromkeys(columns, ""), False
            continue
        odd, short = line.count('"') % 2 == 1, len(cells) < len(columns)
        if (odd or inside) and (short or (odd and inside)):
            inside ^= odd
            yield number, BadLine("a quoted cell runs over several lines; JSON Lines holds line breaks", line), short
            continue
        inside = False
        if line.strip(" "):
            yield number, _row(columns, [_unquoted(cell) for cell in cells]), short


def _unquoted(cell: str) -> str:
    if cell.startswith('"') and '""' in cell[1:-1] and _QUOTED.fullmatch(cell):
        return cell[1:-1].replace('""', '"')
    return cell
