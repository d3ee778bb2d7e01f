"""Markdown that reads well in a terminal too, and in which no text of a corpus is taken for markup."""

import html
import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[object], rows: Iterable[Sequence[object]], *, left: int = 1) -> str:
    """A table in lines of one width; all columns but the first `left` are right-aligned."""
    cells = [[_plain(str(cell)) for cell in row] for row in (head, *rows)]
    widths = [max(4, *map(len, column)) for column in zip(*cells, strict=True)]
    marks = [("-" * width if column < left else "-" * (width - 1) + ":") for column, width in enumerate(widths)]
    for row in cells:
        row[:left] = [cell.ljust(width) for cell, width in zip(row[:left], widths, strict=False)]
        row[left:] = [cell.rjust(width) for cell, width in zip(row[left:], widths[left:], strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], marks, *cells[1:]))


def code(text: str) -> str:
    """`text`, in one line, as a code span, whatever backticks are in it."""
    line = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if "`" in line else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _plain(text: str) -> str:
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|")
