"""Corpora: every record of a source's files becomes canonical rows, or a rejected one with its reason and place."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

from fluency.corpus.drafts import read_sample
from fluency.corpus.formats import read_corrections, read_m2
from fluency.corpus.lines import BadLine, read_lines, suffix_of
from fluency.corpus.m2 import blocks, parse, silent_annotators
from fluency.corpus.places import Items, Place, places_of
from fluency.corpus.readers import READERS
from fluency.corpus.rows import Row
from fluency.corpus.tables import Tables
from fluency.corpus.tasks import RELATIONS, task_name
from fluency.sources.data import SAMPLE, Fetched
from fluency.sources.plain_files import targets_of
from fluency.utils.errors import UserError


def read_corpus(
    fetched: Fetched,
    corpus: str,
    *,
    format: str | None = None,
    tasks: Collection[str] = (),
    relations: Mapping[str, str] | None = None,
    join_tokens: bool = True,
) -> Items:
    """Stream the rows of all files of a source.

    Args:
        corpus: the name that its rows keep.
        format: as `data.format`, where the source has none of its own; None tells it by the columns and the suffix.
        tasks: of a corpus whose rows say their task, the tasks to keep; none named keeps all.
        relations: as `data.task_relations`.
        join_tokens: as `data.join_tokens`.

    Raises:
        UserError: a file cannot be read at all, has none of the known sets of columns, or labels of which nothing says
            what they mean; or its name doesn't say its split as those of others do.
    """
    format = fetched.source.format or format
    files, tables = _chosen(fetched, format)
    known = RELATIONS | {task_name(task): relation for task, relation in (relations or {}).items()}
    tables = Tables(fetched, tables, format, {*map(task_name, tasks)}, known)
    places = places_of(fetched, corpus, files)
    others = [file for file in tables.files if format and len(files) > 1 and not tables.fits(file)]
    if len(others) == len(files):  # the first one tells what is wrong
        others = []
    copies = _in_several_containers(tables.files)
    seen: dict[bytes, str] = {}
    for file in files:
        place = places[file]
        if file in others:
            yield place.rejected(f"the file is not of the format {format}, and not read", 1, "")
        elif fetched.root == SAMPLE:
            yield from _sample(file, place)
        elif file in tables.files:
            if file in copies:
                first = seen.setdefault(_digest(tables.rows(file, place)), place.file)
                if first != place.file:
                    yield place.rejected(f"the file holds the same rows as another, and is not read; {first}", 1, "")
                    continue
            yield from tables.rows(file, place)
        elif targets_of(file) and format != "m2":
            yield from _plain(file, place)
        else:
            yield from _m2(file, place, join=join_tokens)


def _chosen(fetched: Fetched, format: str | None) -> tuple[list[Path], list[Path]]:
    """The files that hold rows of this format, and those of them that are tables; the references beside a plain source
    are read with it."""
    if fetched.root == SAMPLE:  # a format of its own
        return fetched.files, []
    named = format == "m2" and (len(fetched.files) == 1 or fetched.source.files is not None)
    m2 = [file for file in fetched.files if suffix_of(file) == ".m2" or named]
    plain = [file for file in fetched.files if targets_of(file)]
    tables = [file for file in fetched.files if suffix_of(file) in READERS]
    if format is None and m2 and (plain or tables):
        beside = ".src/.ref files; choose m2 or jfleg" if plain else f"{tables[0].name}; choose one by format or files"
        raise UserError(f"data.format: {fetched.root} holds M2 and {beside}")
    if format == "m2":
        plain, tables = [], []
    elif format:
        m2, plain = [], plain if format in ("jfleg", "parallel") else []
    if not (m2 or plain or tables):
        what = f"of the format {format}; a source may have its own: {{path: ..., format: ...}}" if format else (
            "of a known kind; format m2 reads M2 under any name")  # fmt: skip
        raise UserError(f"data.source: {fetched.root} holds no file {what}")
    return sorted({*m2, *plain, *tables}), tables


def _in_several_containers(files: Collection[Path]) -> set[Path]:
    """The tables whose name another has too, but for its suffixes."""
    named = defaultdict(list)
    for file in files:
        named[file.name.lower().partition(suffix_of(file))[0]].append(file)
    return {file for its in named.values() if len({file.name for file in its}) > 1 for file in its}


def _digest(items: Items) -> bytes:
    """What the rows say, wherever they stand."""
    digest = hashlib.blake2b()
    for row in items:
        if isinstance(row, Row):
            edit = row.start, row.removed, row.inserted
            digest.update(repr((row.relation, row.before, row.after, edit, row.label, row.kind, row.split)).encode())
    return digest.digest()


def _m2(file: Path, place: Place, *, join: bool) -> Items:
    def readable() -> Iterator[tuple[int, str]]:
        for number, line in read_lines(file):
            if isinstance(line, BadLine):
                raise UserError(f"{file}: line {number}: {line.reason}; save it as UTF-8, with line feeds")
            yield number, line

    silent = silent_annotators(readable())
    for block in blocks(readable()):
        text = partial("\n".join, block.lines)
        try:
            parse(block, silent)
        except ValueError as error:
            yield place.rejected(str(error), block.line, text())
        else:
            yield from place.rows(block.line, text, partial(read_m2, block, join=join))


def _plain(file: Path, place: Place) -> Items:
    """Plain text: a sentence a line, its corrections in the same line of `.tgt`, or of `.ref0`, `.ref1` and so on."""
    references = targets_of(file)
    try:
        for lines in zip(*map(read_lines, [file, *references]), strict=True):
            number, texts = lines[0][0], [text for _, text in lines]
            whole = partial("\n".join, [text.text if isinstance(text, BadLine) else text for text in texts])
            if bad := next((text for text in texts if isinstance(text, BadLine)), None):
                yield place.rejected(bad.reason, number, whole())
            else:
                yield from place.rows(number, whole, partial(read_corrections, texts[0], texts[1:]))
    except ValueError:
        names = ", ".join(path.name for path in references)
        raise UserError(
            f"{file}: it and {names} differ in their number of lines; line by line they belong together"
        ) from None


def _sample(file: Path, place: Place) -> Items:
    for number, line in read_lines(file):
        if isinstance(line, BadLine):
            yield place.rejected(line.reason, number, line.text)
        elif line.strip() and not line.startswith("#"):
            yield from place.rows(number, partial(str, line), partial(read_sample, line))
