"""Tables as rows: which format the columns tell, what the source calls them, what the labels mean."""

import json
import re
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from fluency.corpus.columns import check_unjudged, field_of, renamed, split_column
from fluency.corpus.drafts import is_blank
from fluency.corpus.formats import ASKED_FOR, SIDES, TABLES, Format, Meaning
from fluency.corpus.labels import Labels
from fluency.corpus.lines import BadLine, read_lines, suffix_of
from fluency.corpus.places import Items, Place
from fluency.corpus.readers import Record, Records, read_records, schema_of
from fluency.corpus.tasks import instructions_in, task_in, task_name
from fluency.sources.card import class_names, names_in
from fluency.sources.data import Fetched
from fluency.utils.errors import UserError

_HEAD = 100  # records whose columns tell the format of a table
_BESIDE = ("kind", "part", "source", "split")  # columns of any format
_TASK = ("task", "instruction")
# what a source may name columns of its own for
_OURS = {"edit_start", "removed", "inserted", *_BESIDE, *_TASK}.union(*(own for _, own, _ in TABLES + ASKED_FOR))


@dataclass(frozen=True)
class Tables:
    """How the tables of one source are read.

    Attributes:
        files: the tables.
        format: as `data.format`; None tells it by the columns.
        tasks: of a corpus whose rows say their task, the tasks to keep, by `task_name`; none named keeps all.
        relations: what tasks mean, by `task_name`.
    """

    fetched: Fetched
    files: Collection[Path]
    format: str | None
    tasks: Collection[str]
    relations: Mapping[str, str]

    def rows(self, file: Path, place: Place) -> Items:
        """Stream the rows of a table.

        Raises:
            UserError: it cannot be read, has none of the known sets of columns, or labels of which nothing says what
                they mean; or a column may be the label or the split, and nothing says so.
        """
        lines = self.records(file)
        first = list(islice(lines, _HEAD))
        if not first and _may_be_empty(file):
            yield place.rejected("the file holds no rows", 1, "")
            return
        name, own, reader = self._format_of(file, first)
        head = [record for _, record in first if isinstance(record, dict)]
        tasks = ("labels",) if "before_sent" in own else _TASK
        unjudged = name == "parallel" and not self.format
        if unjudged:
            texts = (f"translation.{side}" for side in chain(*SIDES))
            check_unjudged(file, head, {*own, *tasks, *texts, "kind", *self.fetched.source.columns.values()})
        labels = self._labels(file)
        if name not in ("labelled", "reference") and (labels.meant or labels.threshold is not None):
            raise UserError(
                f"{file}: the source says what labels mean, but its format {name} has none; name their column, "
                "columns: {label: ITS-NAME}, or leave labels and threshold out"
            )
        labels.check("expected_score" if name == "reference" else "label")
        has = self._has if name == "reference" else bool
        meaning = Meaning(labels, has, self.relations, tasks, instructions_in(_changes(head, own)))
        beside = {column: column for column in _BESIDE if column not in own}
        if not place.said:
            beside["split"] = split_column(file, head, own, place.split)
        for line, record in chain(first, lines):
            if isinstance(record, BadLine):
                yield place.rejected(record.reason, line, record.text)
                continue
            text = partial(json.dumps, record, ensure_ascii=False, default=str)
            if unjudged and "label" in record and not is_blank(record["label"]):
                yield place.rejected("label: the first rows of the file have none, so none is read", line, text())
            elif self.tasks and (said := task_in(record, tasks)) and task_name(said[1]) not in self.tasks:
                yield place.rejected("{}: not among data.tasks; found {!r}".format(*said)[:200], line, text())
            else:
                values = [(ours, value) for ours, its in beside.items() if (value := field_of(record, its)) is not None]
                columns = {ours: value for ours, value in values if not is_blank(value)}
                yield from place.rows(line, text, partial(reader, record, meaning), columns)

    def fits(self, file: Path) -> bool:
        """Whether a table is of the format asked for."""
        try:
            self._format_of(file, list(islice(self.records(file), _HEAD)))
        except UserError:
            return False
        return True

    def records(self, file: Path) -> Records:
        """The records of a table, under the names that the formats have for its columns.

        A folder `label=0` is a column, as those have it who write a file for each value; `split=test` is a name.
        """
        columns, records = self.fetched.source.columns, read_records(file)
        above = file.relative_to(self.fetched.root).parts[:-1]
        folders = dict(name.split("=", 1) for name in above if "=" in name and not name.startswith("split="))
        if folders:
            records = ((line, folders | its if isinstance(its, dict) else its) for line, its in records)
        if not columns:
            return records
        return ((line, renamed(its, columns) if isinstance(its, dict) else its) for line, its in records)

    def _format_of(self, file: Path, head: Sequence[tuple[int, Record | BadLine]]) -> Format:
        columns = {column for _, record in head if isinstance(record, dict) for column in record}
        if not columns:
            reason = (
                f"its first line: {head[0][1].reason}" if head and isinstance(head[0][1], BadLine) else "it is empty"
            )
            raise UserError(f"{file}: holds no record ({reason}); mend it, or take it out of the source")
        if unknown := [ours for ours in self.fetched.source.columns if ours not in _OURS]:
            raise UserError(f"data.source: columns: {unknown[0]!r} is none of {', '.join(sorted(_OURS))}")
        if absent := [theirs for ours, theirs in self.fetched.source.columns.items() if ours not in columns]:
            raise UserError(f"{file}: it has no column {absent[0]!r}, which the source's columns name")
        chosen = [known for known in TABLES + (ASKED_FOR if self.format else ()) if self.format in (None, known[0])]
        named = {*self.fetched.source.columns}
        fitting = sorted((known for known in chosen if known[1] <= columns), key=lambda known: not known[1] & named)
        if fitting:
            sides = [pair for pair in SIDES if columns.issuperset(pair)]
            if len(sides) > 1 and fitting[0][1].issuperset(sides[0]) and not fitting[0][1] & named:
                may = " or ".join(map(", ".join, sides))
                raise UserError(
                    f"{file}: the sentences may be {may}; say it in the source, columns: {{src: ITS-NAME, ...}}"
                )
            return fitting[0]
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
        names = _names_in_schema(file) or class_names(file, its.config)
        ours = {theirs: name for name, theirs in its.source.columns.items()}
        hidden = its.source.columns.keys() - ours.keys()
        names = {ours.get(name, name): classes for name, classes in names.items() if name not in hidden}
        return Labels(file, its.source.labels, its.source.threshold, names)


def _changes(records: Sequence[Record], columns: frozenset[str]) -> list[tuple[object, object]]:
    """The sources and targets of a table that has them."""
    sides = next((pair for pair in SIDES if columns == {*pair}), None)
    return [(record.get(sides[0]), record.get(sides[1])) for record in records] if sides else []


def _may_be_empty(file: Path) -> bool:
    """Whether a file without rows is whole: it has a schema or a header, or is one of several shards."""
    if suffix_of(file) in (".csv", ".tsv"):
        return next(read_lines(file), None) is not None
    return suffix_of(file) in (".parquet", ".arrow", ".feather", ".json") or bool(re.search(r"-\d+-of-\d+", file.name))


def _names_in_schema(file: Path) -> dict[str, list[str]]:
    """The names of classes in the metadata that `datasets` writes into a schema."""
    try:
        features = json.loads(schema_of(file).metadata[b"huggingface"])["info"]["features"]
    except (AttributeError, ValueError, KeyError, TypeError):  # there is none
        return {}
    return names_in(features)
