"""Corpora: every record of a source's files becomes canonical rows, or a rejected one with its reason and place."""

import json
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from fluency.corpus.formats import TABLES, Draft, Known, Reader, checked, read_corrections, read_m2, read_sample
from fluency.corpus.m2 import blocks, parse
from fluency.corpus.readers import READERS, BadLine, Record, read_lines, read_records, split_of, suffix_of
from fluency.corpus.rows import Rejected, Row
from fluency.sources.data import SAMPLE, Fetched, references_of
from fluency.utils.errors import UserError

_HEAD = 100  # records whose columns tell the format of a table

Items = Iterator[Row | Rejected]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file's rows belong."""

    corpus: str
    part: str
    split: str | None
    file: str

    def row(self, draft: Draft, line: int, record: Record) -> Row:
        """The draft as a row; other columns of the record tell kind, part and split better than the file does."""
        edit = draft.edit
        return Row(
            draft.relation,
            draft.before,
            draft.after,
            edit and edit.start,
            edit and edit.removed,
            edit and edit.inserted,
            draft.label,
            _writable(str(draft.kind or record.get("kind") or "unknown")),
            _writable(str(record.get("part") or record.get("source") or self.part)),
            self.corpus,
            _given_split(record) or self.split,
            self.file,
            line,
        )

    def rejected(self, reason: str, line: int, row: str) -> Rejected:
        """The row whole."""
        return Rejected(_writable(reason), self.corpus, self.file, line, _writable(row))


def _given_split(record: Record) -> str | None:
    """The split that a record names itself.

    Raises:
        ValueError: it is none that we know.
    """
    given = record.get("split")
    if given is None or given == "":
        return None
    if split := split_of(str(given)):
        return split
    raise ValueError(f"split: neither train, validation nor test; found {given!r}"[:200])


def _writable(text: str) -> str:
    """The text with lone surrogates escaped, which no file can hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_corpus(fetched: Fetched, corpus: str, *, format: str | None = None, tasks: Collection[str] = ()) -> Items:
    """Stream the rows of all files of a source.

    Args:
        corpus: the name that its rows keep.
        format: as `data.format`; None tells it by the columns and the suffix.
        tasks: of a corpus with a `task` column, the tasks to keep; none named keeps all.

    Raises:
        UserError: a file cannot be read at all, or has none of the known sets of columns.
    """
    files = _chosen(fetched, format)
    known = cache(partial(_sentences, files))
    for file in files:
        name = _writable(file.relative_to(fetched.root).as_posix())
        place = _Place(corpus, corpus, split_of_path(name), name)
        suffix = suffix_of(file)
        if fetched.root == SAMPLE:
            yield from _sample(file, _Place(corpus, file.parent.name, None, name))
        elif suffix in READERS:
            yield from _table(file, place, format, tasks, known)
        elif suffix == ".src":
            yield from _plain_references(file, place)
        else:
            yield from _m2(file, place)


def split_of_path(name: str) -> str | None:
    """The split that a file is in: its own name tells it best, then the folder nearest to it."""
    return next(filter(None, map(split_of, reversed(name.split("/")))), None)


def _chosen(fetched: Fetched, format: str | None) -> list[Path]:
    """The files that hold rows of this format; the references beside a `.src` file are read with it."""
    kinds = {file: suffix_of(file) for file in fetched.files}
    m2 = [file for file, kind in kinds.items() if kind == ".m2" or (format == "m2" and len(kinds) == 1)]
    plain = [file for file, kind in kinds.items() if kind == ".src"]
    tables = [file for file, kind in kinds.items() if kind in READERS]
    if fetched.root == SAMPLE:  # a format of its own
        return fetched.files
    if format is None and m2 and plain:
        raise UserError(f"data.format: {fetched.root} holds M2 and .src/.ref files; choose m2 or jfleg")
    chosen = {None: m2 + plain + tables, "m2": m2, "jfleg": plain + tables}.get(format, tables)
    if not chosen:
        what = f"of the format {format}" if format else "of a known kind; data.format=m2 reads M2 under any name"
        raise UserError(f"data.source: {fetched.root} holds no file {what}")
    return sorted(chosen)


def _rows(
    place: _Place, line: int, text: str, drafts: Callable[[], Iterable[Draft]], columns: Record | None = None
) -> Items:
    """The rows of a record's drafts. One that breaks off is rejected whole.

    Args:
        columns: what the record says beside its format's own columns.
    """
    try:
        rows = [place.row(checked(draft), line, columns or {}) for draft in drafts()]
    except ValueError as error:
        rows = [place.rejected(str(error), line, text)]
    yield from rows or [place.rejected("it gives no row", line, text)]


# --- Tables ---


def _table(file: Path, place: _Place, format: str | None, tasks: Collection[str], known: Callable[[], Known]) -> Items:
    records = read_records(file)
    head = list(islice(records, _HEAD))
    columns = {column for _, record in head if isinstance(record, dict) for column in record}
    if not columns:
        reason = f"its first line: {head[0][1].reason}" if head else "it is empty"
        raise UserError(f"{file}: holds no record ({reason}); mend it, or take it out of the source")
    name, own, reader = _reader(file, columns, format)
    has = known() if name == "reference" else bool
    for line, record in chain(head, records):
        if isinstance(record, BadLine):
            yield place.rejected(record.reason, line, record.text)
            continue
        text = json.dumps(record, ensure_ascii=False, default=str)
        if tasks and "task" in record and record["task"] not in tasks:
            yield place.rejected(f"task: not among data.tasks; found {record['task']!r}"[:200], line, text)
        else:
            others = {column: value for column, value in record.items() if column not in own}
            yield from _rows(place, line, text, partial(reader, record, has), others)


def _reader(file: Path, columns: Collection[str], format: str | None) -> tuple[str, frozenset[str], Reader]:
    readers = [known for known in TABLES if format in (None, known[0])]
    for known in readers:
        if known[1] <= set(columns):
            return known
    needed = "; ".join(", ".join(sorted(wanted)) for _, wanted, _ in readers)
    found = ", ".join(sorted(columns))[:500]
    raise UserError(f"{file}: no known format in its columns ({found}); one of these is needed: {needed}")


def _sentences(files: Iterable[Path]) -> Known:
    """Whether the corpus has a sentence; it keeps eight bytes for each."""
    hashes = array("q")
    for file in files:
        if suffix_of(file) in READERS:
            for _, record in read_records(file):
                if isinstance(record, dict):
                    hashes.append(hash(str(record.get("original_sentence"))))
    known = np.unique(np.frombuffer(hashes, dtype=np.int64))

    def has(sentence: str) -> bool:
        at = np.searchsorted(known, hash(sentence))
        return bool(at < len(known) and known[at] == hash(sentence))

    return has


# --- Text files ---


def _m2(file: Path, place: _Place) -> Items:
    def readable() -> Iterator[tuple[int, str]]:
        for number, line in read_lines(file):
            if isinstance(line, BadLine):
                raise UserError(f"{file}: line {number}: {line.reason}; save it as UTF-8")
            yield number, line

    for block in blocks(readable()):
        whole = "\n".join(block.lines)
        try:
            annotators = parse(block).annotators
        except ValueError as error:
            yield place.rejected(str(error), block.line, whole)
            continue
        for annotations in annotators.values():
            yield from _rows(place, block.line, whole, partial(read_m2, block.sentence, annotations))


def _plain_references(file: Path, place: _Place) -> Items:
    """JFLEG as published: a sentence a line, its corrections in the same line of `.ref0`, `.ref1` and so on."""
    references = references_of(file)
    if not references:
        raise UserError(f"{file}: no .ref file stands beside it")
    try:
        for lines in zip(*map(read_lines, [file, *references]), strict=True):
            number, texts = lines[0][0], [text for _, text in lines]
            whole = "\n".join(text.text if isinstance(text, BadLine) else text for text in texts)
            if bad := next((text for text in texts if isinstance(text, BadLine)), None):
                yield place.rejected(bad.reason, number, whole)
            else:
                yield from _rows(place, number, whole, partial(read_corrections, texts[0], texts[1:]))
    except ValueError:
        names = ", ".join(path.name for path in references)
        raise UserError(f"{file}: it and {names} differ in their number of lines") from None


def _sample(file: Path, place: _Place) -> Items:
    for number, line in read_lines(file):
        if isinstance(line, BadLine):
            yield place.rejected(line.reason, number, line.text)
        elif line.strip() and not line.startswith("#"):
            yield from _rows(place, number, line, partial(read_sample, line))
