"""Where data comes from: `sample`, `hub:` and `path:` sources, as local files."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from fluency.sources.hub import snapshot
from fluency.utils.errors import UserError

SAMPLE = Path("data/sample")
CHALLENGE = SAMPLE / "challenge"  # what is evaluated on, and never trained on
_DATA_FILES = [f"*.{kind}" for kind in ("parquet", "arrow")] + [
    f"*.{kind}{zipped}"
    for kind in ("jsonl", "ndjson", "json", "csv", "tsv", "m2", "src", "ref", "ref[0-9]")
    for zipped in ("", ".gz")
]
# what the hub and `save_to_disk` keep beside the rows
NOT_ROWS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "cache-*.arrow")


@dataclass(frozen=True)
class Fetched:
    """Local files of a source.

    Attributes:
        files: the files, in a stable order.
        root: the folder that the files are told relative to.
        revision: what pins the content: a hub commit or a distribution's version; None for local files.
        ignored: other files beside them, that are of no known kind, relative to the root.
    """

    files: list[Path]
    root: Path
    revision: str | None
    ignored: tuple[str, ...] = ()


def fetch_data(source: str) -> Fetched:
    """Make a data source's files local.

    Args:
        source: `sample`, `hub:OWNER/NAME[@REVISION]` or `path:FILE-OR-FOLDER`.

    Raises:
        UserError: the source is malformed, missing or out of reach.
    """
    scheme, _, rest = source.partition(":")
    if source == "sample":
        files = [file for file in sorted(SAMPLE.rglob("*.txt")) if CHALLENGE not in file.parents]
        return Fetched(files, SAMPLE, None)
    if scheme == "path" and rest:
        return _folder(local_path(rest))
    if scheme == "hub" and rest:
        root, revision = snapshot("dataset", rest, _DATA_FILES, "data.source")
        return replace(_folder(root), revision=revision)
    raise UserError(f"data.source: {source!r} is none of sample, hub:OWNER/NAME[@REVISION], path:FILE-OR-FOLDER")


def local_path(path: str) -> Path:
    """`path` as the user meant it: relative to the repository, also where DVC runs a copy of it elsewhere."""
    return Path(os.environ.get("DVC_ROOT", "."), Path(path).expanduser())


def corpus_names(sources: Sequence[str]) -> list[str]:
    """Short names of data sources: `edits` of `hub:owner/edits@main` or `path:../edits`; whole where two are alike."""
    short = [_short_name(source) for source in sources]
    return [name if short.count(name) == 1 else source for name, source in zip(short, sources, strict=True)]


def _short_name(source: str) -> str:
    scheme, _, rest = source.partition(":")
    name = Path(rest.partition("@")[0] if scheme == "hub" else rest).name or source
    return Path(name.removesuffix(".gz")).stem if _matches(name.lower(), _DATA_FILES) else name


def references_of(file: Path) -> list[Path]:
    """The `.ref`, `.ref0`, `.ref1` ... files beside a `.src` file."""
    stem = re.sub(r"\.src(\.gz)?$", "", file.name)
    beside = re.compile(re.escape(stem) + r"\.ref\d*(\.gz)?")
    return sorted(path for path in file.parent.iterdir() if beside.fullmatch(path.name))


def _folder(path: Path) -> Fetched:
    if path.is_file():
        return Fetched([path, *(references_of(path) if ".src" in path.name else [])], path.parent, None)
    if not path.is_dir():
        raise UserError(f"data.source: {path} does not exist; give path:FILE-OR-FOLDER relative to the repository")
    everything = sorted(
        Path(folder, name)
        for folder, _, names in os.walk(path, followlinks=True)
        for name in names
        if not any(part.startswith(".") for part in Path(folder, name).relative_to(path).parts)
    )
    files = [file for file in everything if _holds_rows(file)]
    if not files:
        known = "Parquet, Arrow, JSON, JSON Lines, CSV, TSV, M2 or .src/.ref"
        raise UserError(f"data.source: {path} holds no file of a known kind ({known})")
    ignored = tuple(file.relative_to(path).as_posix() for file in everything if file not in files)
    return Fetched(files, path, None, ignored)


def _holds_rows(file: Path) -> bool:
    name = file.name.lower()
    if name.endswith(".src") and not references_of(file):
        return False  # JFLEG has sources in other spellings beside
    return _matches(name, _DATA_FILES) and not _matches(name, NOT_ROWS)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
