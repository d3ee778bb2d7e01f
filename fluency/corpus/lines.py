"""The lines of text files, also compressed, and what is told of a file that cannot be read."""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from fluency.utils.errors import UserError

PIPE = Path("-")  # standard input, or output: JSON Lines

# how files begin that are no text, and what they are
_NO_TEXT = {
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"Rar!\x1a": "a rar archive; unpack it",
    b"PAR1\x15": "Parquet; let its name end in .parquet",
    b"ARROW1\x00": "Arrow; let its name end in .arrow",
    b"\xff\xff\xff\xff": "Arrow; let its name end in .arrow",
}
_COMPRESSED = {
    b"\x1f\x8b": ".gz",
    b"\xfd7zXZ": ".xz",
    b"\x28\xb5\x2f\xfd": ".zst",
    **{b"BZh%d1AY&SY" % level: ".bz2" for level in range(1, 10)},
}

_OPENERS: dict[str, Callable[[Path], IO[bytes]]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda file: io.BufferedReader(pa.input_stream(file, compression="zstd")),
}


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no record."""

    reason: str
    text: str


def suffix_of(file: Path) -> str:
    """The suffix that tells the container, in lower case: `.jsonl` of `train.jsonl` and of `train.JSONL.gz`."""
    if file == PIPE:
        return ".jsonl"
    return (Path(file.stem).suffix if compression_of(file) else file.suffix).lower()


def compression_of(file: Path) -> str | None:
    """The suffix that says how the file is compressed (`.gz`, `.bz2`, `.xz`, `.zst`), or None."""
    suffix = file.suffix.lower()
    return suffix if suffix in _OPENERS else None


def read_lines(file: Path) -> Iterator[tuple[int, str | BadLine]]:
    """Stream the lines of a text file, plain or compressed, without their line feeds, numbered from 1.

    Only a line feed ends a line: JSON text may hold U+2028 and its like unescaped. A carriage return inside a line may
    be the end of one, or not, so it is a bad line.

    Raises:
        UserError: the file is missing, cut off or no text.
    """
    with explained(file), opened(file) as lines:
        for number, line in enumerate(lines, 1):
            content = line
            if number == 1:
                check_is_text(file, line)
                content = line.removeprefix(b"\xef\xbb\xbf")  # a byte order mark
            content = content.removesuffix(b"\n").rstrip(b"\r")
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError as error:
                yield number, BadLine(f"not UTF-8; {error.reason}", content.decode("utf-8", "backslashreplace"))
            else:
                yield number, BadLine("a carriage return inside the line", text) if "\r" in text else text


def check_is_text(file: Path, content: bytes) -> None:
    """Tell a file that is no text by how it begins.

    Raises:
        UserError: it is none.
    """
    for beginning, what in _NO_TEXT.items():
        if content.startswith(beginning):
            raise UserError(f"{file}: it is {what}")
    for beginning, suffix in _COMPRESSED.items():
        if content.startswith(beginning):
            how = " again; decompress it once" if compression_of(file) else f"; let its name end in {suffix}"
            raise UserError(f"{file}: it is compressed{how}")
    if len(content) > 16 and {0} in ({*content[:16:2]}, {*content[1:16:2]}):
        raise UserError(f"{file}: it is UTF-16; save it as UTF-8")


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Tell a file that cannot be read in one line."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 ({error.reason}); save it as UTF-8") from None
    except (pa.ArrowException, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{file}: cannot be read ({reason})") from None


def opened(file: Path) -> IO[bytes]:
    """The bytes of a file, decompressed."""
    if file == PIPE:
        return os.fdopen(0, "rb", closefd=False)  # /dev/stdin would not open a socket
    compression = compression_of(file)
    return _OPENERS[compression](file) if compression else file.open("rb")
