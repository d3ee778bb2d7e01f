"""The scores of a table in parts, kept beside the scored table, so that no row is scored twice.

A part has the outcomes of one chunk of rows and is finished or not there. They stand in a hidden folder:

    .scored.csv.parts/lock                held by the one run that writes scored.csv
    .scored.csv.parts/KEY/000000.parquet  of the first rows
    .scored.csv.parts/KEY/drift.txt       in what the edits in them no longer look like validation, once it was seen
    .scored.csv.parts/KEY/written.json    what scored.csv was like when it was written from these parts

KEY stands for the table and for what scores it. A killed run goes on with the parts that are missing; another threshold
decides again from all of them. The folder may be deleted when neither is wanted.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from fluency.utils.errors import UserError
from fluency.utils.files import read_json, write_json, write_text, written_aside
from fluency.utils.processes import locked


class Note(NamedTuple):
    """What is noted of a row.

    Attributes:
        score: what the model says; None where it was not asked: the row is rejected.
        reason: why no such edit is accepted, whatever its score; None where that depends on the score.
    """

    score: float | None
    reason: str | None


_SCHEMA = pa.schema([("score", pa.float64()), ("reason", pa.string())])
_DRIFT, _WRITTEN = "drift.txt", "written.json"


@contextmanager
def claimed(target: Path) -> Iterator[Path]:
    """Hold a scored table while it is written; yields the folder of its parts, which goes again if it stays empty.

    Raises:
        UserError: another process holds it.
    """
    folder = target.with_name(f".{target.name}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "lock"
    descriptor = locked(lock, os.O_RDWR | os.O_CREAT)  # a file: NFS locks no folder
    if descriptor is None or not os.fstat(descriptor).st_nlink:  # its last holder may have just removed it
        raise UserError(f"{target}: another run is writing it; wait for it, or stop it")
    try:
        yield folder
    finally:
        if list(folder.iterdir()) == [lock]:
            lock.unlink()
            with suppress(OSError):  # another run has come by now
                folder.rmdir()
        os.close(descriptor)


class Parts:
    """The parts that one model gave one table.

    Args:
        folder: of the table's parts, claimed.
        key: a name that two runs share only if they give every row the same score.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._all, self._folder = folder, folder / key

    def add(self, part: int, notes: Sequence[Note]) -> None:
        """Finish a part."""
        with written_aside(self._file(part)) as aside:
            pq.write_table(pa.Table.from_pylist([note._asdict() for note in notes], schema=_SCHEMA), aside)

    def notes(self, part: int) -> list[Note]:
        """The outcomes in a part; none where it isn't finished, or a crash of the machine has left it broken."""
        try:
            scores, reasons = pq.read_table(self._file(part)).to_pydict().values()
        except (OSError, pa.ArrowException):
            return []
        return list(map(Note, scores, reasons))

    def keep_drift(self, drift: str) -> None:
        """Keep, for later runs, in what the edits in the parts no longer look like validation."""
        write_text(self._folder / _DRIFT, drift)

    def drift(self) -> str:
        """What `keep_drift` was given last; empty if nothing was."""
        file = self._folder / _DRIFT
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def written(self) -> Any:
        """What `write_down` was given last; None if nothing was."""
        try:
            return read_json(self._folder / _WRITTEN)
        except UserError:
            return None

    def write_down(self, result: Any) -> None:
        """Note, as JSON, that the scored table was written from these parts.

        Those it was written from before are removed; those of a run that hasn't come to its end are left alone.
        """
        for other in self._all.glob(f"*/{_WRITTEN}"):
            if other.parent != self._folder:
                shutil.rmtree(other.parent)
        write_json(self._folder / _WRITTEN, result)

    def _file(self, part: int) -> Path:
        return self._folder / f"{part:06}.parquet"
