"""Files are written aside and renamed, so that a reader never meets half of one."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from fluency.utils.errors import UserError

_ROW_GROUP, _CHARACTERS = 10_000, 2**25  # rows and characters of a row group, at most


@contextmanager
def written_aside(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it takes the place of `path`, on error it is removed.

    What a killed process left there is removed too.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f".{path.name}.*.part"):
        if not psutil.pid_exists(int(stale.suffixes[-2].removeprefix("."))):
            _remove(stale)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield aside
        if path.is_dir():
            shutil.rmtree(path)
        aside.replace(path)
    finally:
        _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON. A NaN or an infinity is a bug upstream and raises ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_parquet(path: str | Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    """Write `rows` (dicts with the schema's keys) as Parquet, whole or not at all."""
    with written_aside(path) as aside:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), aside)


@contextmanager
def parquet_sink(path: str | Path, schema: pa.Schema) -> Iterator[Callable[[tuple[Any, ...]], None]]:
    """Yield a function that appends one row, its values in the schema's order; memory stays flat.

    Rows are written a row group at a time. The file isn't written aside: put it into a folder that is.
    """
    texts = [place for place, field in enumerate(schema) if pa.types.is_string(field.type)]
    waiting: list[tuple[Any, ...]] = []
    characters = 0

    def flush() -> None:
        nonlocal characters
        columns = zip(zip(*waiting, strict=True), schema, strict=True)
        arrays = [pa.array(column, field.type) for column, field in columns]
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        waiting.clear()
        characters = 0

    def append(row: tuple[Any, ...]) -> None:
        nonlocal characters
        waiting.append(row)
        for place in texts:
            characters += len(row[place] or "")
        if len(waiting) == _ROW_GROUP or characters > _CHARACTERS:
            flush()

    with pq.ParquetWriter(path, schema) as writer:
        yield append
        if waiting:
            flush()


def read_parquet(path: str | Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Read all rows of a Parquet file as dicts, of all columns or those named.

    Raises:
        UserError: the file is missing or is no Parquet.
    """
    try:
        return pq.read_table(path, columns=columns).to_pylist()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc pull` fetches it, `dvc repro` makes it") from None
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc pull` fetches it, `dvc repro` makes it") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON (line {error.lineno}: {error.msg})") from None


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
