"""What the model has said of a table's rows, kept beside the scored table until that is written.

A killed run goes on from it. Its first line says what was scored and by what; each further line has the outcomes of one
chunk of rows. A line that was cut off doesn't count.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from fluency.utils.errors import UserError
from fluency.utils.files import write_text
from fluency.utils.processes import locked

Note = float | str  # a row's score, or the reason why it has none


@contextmanager
def journal(table: Path) -> Iterator["Journal"]:
    """Hold the journal of a scored table.

    Raises:
        UserError: another process holds it.
    """
    path = table.with_name(f".{table.name}.scores")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = locked(path, os.O_RDWR | os.O_CREAT)
    if descriptor is None:
        raise UserError(f"{table}: another run is writing it; wait for it, or stop it")
    with os.fdopen(descriptor, "r+b") as file:
        yield Journal(path, file)


class Journal:
    """The journal of one table; `journal` opens it."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file

    def result(self, key: str) -> Any:
        """What `finish` was given under this key; None if the table wasn't finished, or under another."""
        header = next(self._lines(), {})
        return header.get("result") if header.get("key") == key else None

    def resume(self, key: str) -> int:
        """Keep the chunks that were noted under this key, or begin anew.

        Returns:
            How many were kept.
        """
        lines, end, chunks = self._lines(), 0, 0
        if next(lines, None) == {"key": key}:
            end = self._file.tell()
            for _ in lines:
                end, chunks = self._file.tell(), chunks + 1
        self._file.seek(end)
        self._file.truncate()
        if not end:
            self._append({"key": key})
        return chunks

    def add(self, notes: Sequence[Note]) -> None:
        """Note the outcomes of the next chunk."""
        self._append(notes)

    def notes(self) -> Iterator[Note]:
        """All outcomes, in the order of the rows."""
        lines = self._lines()
        next(lines)
        for chunk in lines:
            yield from chunk

    def finish(self, key: str, result: Any = None) -> None:
        """Remove the journal, or keep nothing of it but the result."""
        if result is None:
            self._path.unlink()
        else:
            write_text(self._path, json.dumps({"key": key, "result": result}) + "\n")

    def _append(self, value: Any) -> None:
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()

    def _lines(self) -> Iterator[Any]:
        """The values of the lines that are whole."""
        self._file.seek(0)
        for line in self._file:
            try:
                value = json.loads(line)
            except ValueError:
                return
            if not line.endswith(b"\n"):
                return
            yield value
