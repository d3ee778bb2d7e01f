"""The scores of a table in parts, kept beside the scored table, so that no row is scored twice.

A part has the outcomes of one chunk of rows and is finished or not there. A killed run goes on after the last part;
a run with another threshold decides again from all of them. They stand in a hidden folder, `.scored.csv.parts` of
`scored.csv`, which may be deleted when no other threshold will be asked for.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fluency.utils.errors import UserError
from fluency.utils.files import read_json, write_json, written_aside
from fluency.utils.processes import locked

Note = float | str  # a row's score, or the reason why it has none

_SCHEMA = pa.schema([("score", pa.float64()), ("reason", pa.string())])
_WRITTEN = "written.json"


def parts_folder(target: Path) -> Path:
    """Where the parts of a scored table stand."""
    return target.with_name(f".{target.name}.parts")


@contextmanager
def claimed(target: Path) -> Iterator[Path]:
    """Hold a scored table while it is written; yields the folder of its parts, which goes again if it stays empty.

    Raises:
        UserError: another process holds it.
    """
    folder = parts_folder(target)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = locked(folder)
    if descriptor is None:
        raise UserError(f"{target}: another run is writing it; wait for it, or stop it")
    try:
        yield folder
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()
        os.close(descriptor)


class Parts:
    """The parts that one model gave one table.

    Args:
        folder: of the table's parts, claimed.
        key: a name that two runs share only if they give every row the same score; what has another key is removed.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder / key
        for other in folder.iterdir():
            if other != self._folder:
                shutil.rmtree(other)
        self._folder.mkdir(exist_ok=True)
        self.finished = len(list(self._folder.glob("[0-9]*.parquet")))

    def add(self, notes: Sequence[Note]) -> None:
        """Finish the next part."""
        columns = [
            pa.array([None if isinstance(note, str) else note for note in notes], pa.float64()),
            pa.array([note if isinstance(note, str) else None for note in notes], pa.string()),
        ]
        with written_aside(self._file(self.finished)) as aside:
            pq.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA), aside)
        self.finished += 1

    def notes(self) -> Iterator[Note]:
        """All outcomes, in the order of the rows."""
        for part in range(self.finished):
            scores, reasons = pq.read_table(self._file(part)).to_pydict().values()
            yield from (score if reason is None else reason for score, reason in zip(scores, reasons, strict=True))

    def written(self) -> Any:
        """What `write_down` was given last; None if nothing was."""
        return read_json(self._folder / _WRITTEN) if (self._folder / _WRITTEN).is_file() else None

    def write_down(self, result: Any) -> None:
        """Note, as JSON, that the scored table was written from these parts."""
        write_json(self._folder / _WRITTEN, result)

    def _file(self, part: int) -> Path:
        return self._folder / f"{part:06}.parquet"
