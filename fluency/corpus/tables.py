"""Tables as rows: which format the columns tell, what the source calls them, what the labels mean."""

import json
import re
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fluency.corpus.drafts import is_missing
from fluency.corpus.formats import ASKED_FOR, SIDES, TABLES, Format, Meaning
from fluency.corpus.labels import Labels
from fluency.corpus.lines import BadLine, read_lines, suffix_of
from fluency.corpus.places import Items, Place
from fluency.corpus.readers import Record, Records, read_records, schema_of
from fluency.corpus.split_names import says_split, split_of, splits_in
from fluency.corpus.tasks import RELATIONS, instructions_in, task_in, task_name
from fluency.sources.card import class_names, names_in
from fluency.sources.data import Fetched
from fluency.utils.errors import UserError

_HEAD = 100  # records whose columns tell the format of a table
_BESIDE = ("kind", "part", "source", "split")  # columns of any format
# names of columns that judge an edit
_JUDGES = re.compile(
    r"label|scores?\b|rating|judge?ment|verdict|acceptab|fluen|grammatical|correct(?!ed|ion)|quality|^class$",
    re.IGNORECASE,
)
_OF_SPLITS = re.compile(r"split|\b(?:sub)?set$|\b(?:partition|fold)$", re.IGNORECASE)  # names of columns that say it


@dataclass(frozen=True)
class Tables:
    """How the tables of one source are read.

    Attributes:
        format: as `data.format`; None tells it by the columns.
        tasks: of a corpus whose rows say their task, the tasks to keep, by `task_name`; none named keeps all.
        relations: what tasks mean, by `task_name`.
        files: the tables.
    """

    fetched: Fetched
    files: Collection[Path]
    format: str | None = None
    tasks: Collection[str] = ()
    relations: Mapping[str, str] = field(default_factory=lambda: RELATIONS)

    def rows(self, file: Path, place: Place) -> Items:
        """Stream the rows of a table.

        Raises:
            UserError: it cannot be read, has none of the known sets of columns, or labels of which nothing says what
                they mean.
        """
        records = self.records(file)
        head = list(islice(records, _HEAD))
        if not head and _may_be_empty(file):
            yield place.rejected("the file holds no rows", 1, "")
            return
        name, own, reader = self._format_of(file, head)
        if name == "parallel" and not self.format:
            _check_unjudged(file, head, own)
        labels = self._labels(file)
        labels.check("expected_score" if name == "reference" else "label")
        has = self._has if name == "reference" else bool
        tasks = ("labels",) if "before_sent" in own else ("task", "instruction")
        meaning = Meaning(labels, has, self.relations, tasks, instructions_in(_changes(head, own)))
        beside = {column: column for column in _BESIDE if column not in own}
        if not place.said:
            beside["split"] = _split_column(file, head, own, place.split)
        for line, record in chain(head, records):
            if isinstance(record, BadLine):
                yield place.rejected(record.reason, line, record.text)
                continue
            text = partial(json.dumps, record, ensure_ascii=False, default=str)
            if self.tasks and (said := task_in(record, tasks)) and task_name(said[1]) not in self.tasks:
                yield place.rejected("{}: not among data.tasks; found {!r}".format(*said)[:200], line, text())
            else:
                said = ((ours, _field(record, its)) for ours, its in beside.items())
                columns = {column: value for column, value in said if not is_missing(value)}
                yield from place.rows(line, text, partial(reader, record, meaning), columns)

    def fits(self, file: Path) -> bool:
        """Whether a table is of the format asked for."""
        try:
            self._format_of(file, list(islice(self.records(file), _HEAD)))
        except UserError:
            return False
        return True

    def records(self, file: Path) -> Records:
        """The records of a table, under the names that the formats have for its columns."""
        columns = self.fetched.source.columns
        records = read_records(file)
        return ((line, _renamed(record, columns)) for line, record in records) if columns else records

    def _format_of(self, file: Path, head: Iterable[tuple[int, Record | BadLine]]) -> Format:
        columns = {column for _, record in head if isinstance(record, dict) for column in record}
        if not columns:
            first = next((record for _, record in head), None)
            reason = f"its first line: {first.reason}" if isinstance(first, BadLine) else "it is empty"
            raise UserError(f"{file}: holds no record ({reason}); mend it, or take it out of the source")
        if absent := [theirs for ours, theirs in self.fetched.source.columns.items() if ours not in columns]:
            raise UserError(f"{file}: it has no column {absent[0]!r}, which the source's columns name")
        chosen = [known for known in TABLES + (ASKED_FOR if self.format else ()) if self.format in (None, known[0])]
        for known in chosen:
            if known[1] <= columns:
                return known
        needed = "; ".join(dict.fromkeys(", ".join(sorted(wanted)) for _, wanted, _ in chosen))
        found = ", ".join(sorted(columns))[:500]
        raise UserError(
            f"{file}: no known format in its columns ({found}); one of these is needed: {needed}; "
            "a source says its own: {path: ..., format: ..., columns: {before: ITS-NAME, ...}, files: GLOB}"
        )

    @cached_property
    def _has(self) -> Callable[[str], bool]:
        """Whether the corpus has a sentence; it keeps eight bytes for each."""
        hashes = array("q")
        for file in self.files:
            for _, record in self.records(file):
                if isinstance(record, dict):
                    hashes.append(hash(str(record.get("original_sentence"))))
        known = np.unique(np.frombuffer(hashes, dtype=np.int64))

        def has(sentence: str) -> bool:
            at = np.searchsorted(known, hash(sentence))
            return bool(at < len(known) and known[at] == hash(sentence))

        return has

    def _labels(self, file: Path) -> Labels:
        its = self.fetched
        names = _names_in_schema(schema_of(file)) or class_names(file, its.root, its.config)
        ours = {theirs: name for name, theirs in its.source.columns.items()}
        hidden = its.source.columns.keys() - ours.keys()
        names = {ours.get(name, name): classes for name, classes in names.items() if name not in hidden}
        return Labels(file, its.source.labels, its.source.threshold, names)


def _changes(head: Iterable[tuple[int, Record | BadLine]], columns: frozenset[str]) -> list[tuple[Any, Any]]:
    """The sources and targets of the first records, of a table that has them."""
    sides = next((pair for pair in SIDES if columns == {*pair}), None)
    records = (record for _, record in head if isinstance(record, dict))
    return [(record.get(sides[0]), record.get(sides[1])) for record in records] if sides else []


def _check_unjudged(file: Path, head: Iterable[tuple[int, Record | BadLine]], own: frozenset[str]) -> None:
    """Let no table of corrections pass that may be one of judged edits.

    Raises:
        UserError: a column beside source and target is called as judgements are.
    """
    for _, record in head:
        for name, value in record.items() if isinstance(record, dict) else ():
            if name not in own and _JUDGES.search(name) and not is_missing(value):
                raise UserError(
                    f"{file}: the column {name!r} may be a label; say so in the source, columns: {{label: {name}}}, or "
                    "else format: parallel"
                )


def _split_column(
    file: Path, head: Iterable[tuple[int, Record | BadLine]], own: frozenset[str], of_file: str | None
) -> str:
    """The column or field that says the split of a row: `split`, or one that says nothing but splits.

    A column that is called for something else may say so by chance (`env: dev`), unless training is among it.

    Args:
        of_file: what the file's name says.

    Raises:
        UserError: there are several such, or one may be meant and nothing else says the split.
    """
    records = [record for _, record in head if isinstance(record, dict)]
    names = dict.fromkeys(name for record in records for name in _fields(record))
    if "split" in names:
        return "split"
    values = {
        name: [value for record in records if not is_missing(value := _field(record, name))]
        for name in names
        if name not in own
    }
    flags = [name for name, its in values.items() if its and splits_in(name) and all(map(_is_flag, its))]
    if flags and of_file in (None, "train"):
        raise UserError(
            f"{file}: the column {flags[0]!r} may say the split; write train, validation or test into a column "
            "`split`, or say in the source split: train, validation, test or cut"
        )
    found = [name for name, its in values.items() if its and all(map(says_split, its))]
    sure = [name for name in found if _OF_SPLITS.search(name) or "train" in map(split_of, values[name])]
    if len(found) > 1 if sure else found and not of_file:
        raise UserError(
            f"{file}: a column may say the split ({', '.join(found)}); say it in the source: "
            f"{{path: ..., columns: {{split: {found[0]}}}}}, or split: train, validation, test or cut"
        )
    return sure[0] if sure else "split"


def _is_flag(value: Any) -> bool:
    return str(value).lower() in ("0", "1", "0.0", "1.0", "true", "false", "yes", "no")


def _renamed(record: Record | BadLine, columns: Mapping[str, str]) -> Record | BadLine:
    """The record with its columns under our names, which none of its own has then."""
    if isinstance(record, BadLine):
        return record
    named = {*columns, *columns.values()}
    renamed = {name: value for name, value in record.items() if name not in named}
    fields = _fields(record)
    return renamed | {ours: _field(record, theirs) for ours, theirs in columns.items() if theirs in fields}


def _fields(record: Record) -> list[str]:
    """The names of a record's columns, and of their fields: `translation.en`."""
    inner = ((name, its) for name, its in record.items() if isinstance(its, dict))
    return [*record, *(f"{name}.{field}" for name, its in inner for field in _fields(its))]


def _field(record: Record, name: str) -> Any:
    """What a column, or a field of one, holds."""
    if name in record:
        return record[name]
    outer, _, inner = name.partition(".")
    its = record.get(outer)
    return _field(its, inner) if isinstance(its, dict) else None


def _may_be_empty(file: Path) -> bool:
    """Whether a file without rows is whole: it has a schema or a header, or is one of several shards."""
    if suffix_of(file) in (".csv", ".tsv"):
        return next(read_lines(file), None) is not None
    return suffix_of(file) in (".parquet", ".arrow", ".feather", ".json") or bool(re.search(r"-\d+-of-\d+", file.name))


def _names_in_schema(schema: pa.Schema | None) -> dict[str, list[str]]:
    """The names of classes in the metadata that `datasets` writes into a schema."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    except (AttributeError, ValueError, KeyError, TypeError):  # there is none
        return {}
    return names_in(features)
