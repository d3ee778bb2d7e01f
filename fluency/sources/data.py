"""Where data comes from: `sample`, `hub:` and `path:` sources, as local files."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

from fluency.sources import card
from fluency.sources.plain_files import COMPRESSED, PLAIN, is_copy, targets_of
from fluency.utils.config import require
from fluency.utils.errors import UserError

SAMPLE = Path("data/sample")
CHALLENGE = SAMPLE / "challenge"  # what is evaluated on, and never trained on
_TABLES = [f"*.{kind}" for kind in ("parquet", "arrow", "feather")] + [
    f"*.{kind}{end}" for kind in ("jsonl", "ndjson", "json", "csv", "tsv", "m2") for end in ("", *COMPRESSED)
]
_ARCHIVES = ("*.zip", "*.tar", "*.tar.*", "*.tgz", "*.rar", "*.7z")
# what the hub and `save_to_disk` keep beside the rows
NOT_ROWS = (*card.FILES, "dataset_dict.json", "state.json", "cache-*.arrow")
_SPLITS = ("train", "validation", "test", "cut")


@dataclass(frozen=True)
class Source:
    """One source of `data.source`, with what belongs to it alone.

    Attributes:
        sample, path, hub: where it is, one of them: true, FILE-OR-FOLDER, OWNER/NAME[/CONFIG][@REVISION].
        format: as `data.format`.
        split: `train`, `validation` or `test`: of all its rows, whatever its files are called; `cut`: its files' names
            don't count, its rows are cut by `pairs.split`.
        columns: its own names of a format's columns: `{before: src, after: hyp}`; `a.b` is a field of column `a`.
        labels: what its labels mean: `{acceptable: 1, bad: 0}`; null leaves the row out.
        threshold: labels are numbers, and fluent from here on.
        files: a glob of the files to read.
    """

    sample: bool = False
    path: str | None = None
    hub: str | None = None
    format: str | None = None
    split: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    labels: dict[str, int | None] = field(default_factory=dict)
    threshold: float | None = None
    files: str | None = None

    def __post_init__(self) -> None:
        places = (self.sample, self.path, self.hub)
        require(sum(map(bool, places)) == 1, "data.source: a source needs one of sample: true, path, hub")
        require(self.split in (None, *_SPLITS), f"data.source: split {self.split!r} is none of {', '.join(_SPLITS)}")
        require({*self.labels.values()} <= {0, 1, None}, "data.source: labels mean 0, 1 or null")
        require(not self.labels or self.threshold is None, "data.source: either labels or threshold, not both")

    @classmethod
    def of(cls, source: str) -> "Source":
        """The source that a plain string names.

        Raises:
            UserError: it is malformed.
        """
        scheme, _, rest = source.partition(":")
        if source == "sample":
            return cls(sample=True)
        if scheme in ("path", "hub") and rest:
            return cls(**{scheme: rest})
        known = "sample, hub:OWNER/NAME[/CONFIG][@REVISION], path:FILE-OR-FOLDER"
        raise UserError(f"data.source: {source!r} is none of {known}")

    @property
    def name(self) -> str:
        """The source as a plain string names it."""
        return "sample" if self.sample else f"path:{self.path}" if self.path else f"hub:{self.hub}"


@dataclass(frozen=True)
class Fetched:
    """Local files of a source.

    Attributes:
        files: the files, in a stable order.
        root: the folder that the files are told relative to.
        revision: what pins the content: a hub commit or a distribution's version; None for local files.
        ignored: other files beside them, that are of no known kind, relative to the root.
        source: what params.yaml says of it.
        splits: the names of the splits that a data set's card gives its files.
        config: the configuration that is read, of a data set that has some.
    """

    files: list[Path]
    root: Path
    revision: str | None
    ignored: tuple[str, ...] = ()
    source: Source | None = None
    splits: Mapping[Path, str] = field(default_factory=dict)
    config: str | None = None


def fetch_data(source: Source | str) -> Fetched:
    """Make a data source's files local.

    Raises:
        UserError: the source is malformed, missing or out of reach, or has configurations and none is named.
    """
    its = Source.of(source) if isinstance(source, str) else source
    if its.sample:
        files = [file for file in sorted(SAMPLE.rglob("*.txt")) if CHALLENGE not in file.parents]
        return Fetched(files, SAMPLE, None, source=its)
    if its.path:
        return _folder(local_path(its.path), its, None)
    repo, config = split_config(its.hub)
    from fluency.sources.hub import snapshot  # the hub's client takes long to import

    root, commit = snapshot("dataset", repo, [*_TABLES, *PLAIN, *card.FILES], "data.source")
    return replace(_folder(root, its, config), revision=commit)


def split_config(hub: str) -> tuple[str, str | None]:
    """`OWNER/NAME[@REVISION]`, and the configuration if `OWNER/NAME/CONFIG[@REVISION]` names one."""
    repo, at, revision = hub.partition("@")
    owner, _, name = repo.partition("/")
    name, _, config = name.partition("/")
    return f"{owner}/{name}{at}{revision}", config or None


def local_path(path: str) -> Path:
    """`path` as the user meant it: relative to the repository, also where DVC runs a copy of it elsewhere."""
    return Path(os.environ.get("DVC_ROOT", "."), os.path.normpath(Path(path).expanduser()))


def corpus_names(sources: Sequence[str]) -> list[str]:
    """Short names of data sources: `edits` of `hub:owner/edits@main` or `path:../edits`; whole where two are alike."""
    short = [_short_name(source) for source in sources]
    names = [name if short.count(name) == 1 else source for name, source in zip(short, sources, strict=True)]
    return [
        name if names.count(name) == 1 else f"{name} #{names[:at].count(name) + 1}" for at, name in enumerate(names)
    ]


def _short_name(source: str) -> str:
    scheme, _, rest = source.partition(":")
    name = Path(rest.partition("@")[0] if scheme == "hub" else rest).name or source
    if not _matches(name.lower(), [*_TABLES, *PLAIN]):
        return name
    return Path(Path(name).stem if name.lower().endswith(COMPRESSED) else name).stem


def _folder(path: Path, source: Source, config: str | None) -> Fetched:
    if path.is_file():
        if _matches(path.name.lower(), _ARCHIVES):
            raise UserError(f"data.source: {path} is an archive; unpack it, and name the folder")
        return Fetched([path, *targets_of(path)], path.parent, None, source=source)
    if not path.is_dir():
        raise UserError(f"data.source: {path} does not exist; give path:FILE-OR-FOLDER relative to the repository")
    everything = sorted(_walked(path))
    cards = (file.parent for file in everything if file.name == "README.md" and file.parent != path)
    if not (source.split or source.files) and (
        within := next((its for its in cards if card.configs(card.read_card(its))), None)
    ):
        raise UserError(
            f"data.source: {within} has a card that says which files are which split; make it a source of its own, "
            f"{{path: {within}}}"
        )
    wanted, splits, config = _configured(path, source, config, everything)
    tables = [file for file in wanted if _is_table(file) or (source.files and source.format == "m2")]
    plain = [file for file in wanted if targets_of(file) and not is_copy(file, wanted)]
    files = sorted({*tables, *plain, *chain.from_iterable(map(targets_of, plain))})
    if not files:
        known = "Parquet, Arrow, JSON, JSON Lines, CSV, TSV, M2 or parallel plain text such as .src and .tgt"
        named = f" that matches {source.files}" if source.files else ""
        archives = ", ".join(file.name for file in wanted if _matches(file.name.lower(), _ARCHIVES))[:200]
        unpack = f"; unpack {archives}" if archives else ""
        raise UserError(f"data.source: {path} holds no file of a known kind{named} ({known}){unpack}")
    beside = {*files, *(path / name for name in card.FILES)}
    ignored = tuple(file.relative_to(path).as_posix() for file in everything if file not in beside and not source.files)
    return Fetched(files, path, None, ignored, source, splits, config)


def _walked(root: Path) -> Iterator[Path]:
    """The files of a folder but hidden ones.

    Links to folders are followed last, but none to a folder that `root` is in. Each folder is read once: of several
    links to it, the first by name counts.
    """
    seen: set[Path] = set()
    starts = [root]
    for start in starts:  # which grow
        for folder, folders, names in os.walk(start):
            here = Path(folder)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if here.resolve() in seen:
                folders.clear()
                continue
            seen.add(here.resolve())
            links = [here / name for name in folders if (here / name).is_symlink()]
            starts += [link for link in links if not root.resolve().is_relative_to(link.resolve())]
            yield from (here / name for name in names if not name.startswith("."))


def _configured(
    root: Path, source: Source, name: str | None, everything: list[Path]
) -> tuple[list[Path], dict[Path, str], str | None]:
    """The files that `files` and the card let through, their splits where the card names them, the configuration."""
    known = card.configs(card.read_card(root))
    if name is None and len(known) > 1 and not source.files:
        where = f"hub:{source.hub}/CONFIG" if source.hub else "{path: ..., files: GLOB}"
        raise UserError(f"data.source: {source.name} has the configurations {', '.join(known)}; name one: {where}")
    if name not in (None, *known):
        raise UserError(
            f"data.source: {source.name}: no configuration {name!r}; it has {', '.join(known) or 'none by name'}"
        )
    name = name or (next(iter(known)) if len(known) == 1 else None)
    splits: dict[Path, str | None] = {}
    for config in [known[name]] if name else known.values():
        for split, globs in config.items():
            for file in chain.from_iterable(_globbed(root, glob, needed=name is not None) for glob in globs):
                if splits.setdefault(file, split) != split:
                    raise UserError(f"data.source: {source.name}: its card puts {file.name} into two splits")
    if source.files:
        wanted = [file for file in everything if _fits(file, root, source.files)]
    else:
        wanted = [file for file in everything if not name or file in splits]
    return wanted, {file: split for file, split in splits.items() if split}, name


def _globbed(root: Path, glob: str, *, needed: bool) -> list[Path]:
    try:
        found = root.glob(re.sub(r"\*\*(?!/)", "**/*", glob))  # `**.csv` and `train/**`, as the hub has it
        files = [path for path in found if path.is_file()]
    except (ValueError, NotImplementedError):  # an absolute path
        files = []
    if not files and needed:
        raise UserError(f"{root / 'README.md'}: configs: {glob!r} is no file here that can be read")
    return files


def _fits(file: Path, root: Path, glob: str) -> bool:
    path = file.relative_to(root).as_posix()
    return fnmatch(file.name, glob) or fnmatch(path, glob) or fnmatch(path, glob.replace("**/", ""))


def _is_table(file: Path) -> bool:
    return _matches(file.name.lower(), _TABLES) and not _matches(file.name, NOT_ROWS)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
