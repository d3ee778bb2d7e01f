"""Columns of a table beside those of its format: which one says the split, which one may judge the edit."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fluency.corpus.drafts import is_blank
from fluency.corpus.labels import says_label
from fluency.corpus.readers import Record
from fluency.corpus.split_names import says_split, split_of, splits_in
from fluency.corpus.tasks import RELATIONS, task_name
from fluency.utils.errors import UserError

_DEPTH = 4  # names in the path of a field
_FLAGS = frozenset("0 1 0.0 1.0 true false yes no y n t f x".split())
# names of columns that may judge an edit, and of those that may say the split
_JUDGES = re.compile(
    r"label|scores?\b|rating|grade|judge?ment|verdict|accept|approv|fluen|grammatical|correct(?!ed|ion)|quality"
    r"|prefer|winner|better|decision|^(?:is_?)?(?:good|bad|ok|valid|wrong|error)$|rank(?:ing)?$|^(?:gold|votes?|class)$",
    re.IGNORECASE,
)
_OF_SPLITS = re.compile(r"split|\b(?:sub)?set$|\b(?:partition|fold)$", re.IGNORECASE)


def fields_of(record: Record, depth: int = _DEPTH) -> list[str]:
    """The names of a record's columns, and of the fields of records in them or in lists: `translation.en`."""
    inner = ((name, its) for name, held in record.items() if depth > 1 for its in _records(held))
    fields = (f"{name}.{field}" for name, its in inner for field in fields_of(its, depth - 1))
    return list(dict.fromkeys([*record, *fields]))  # the records of a list have the same ones


def field_of(record: Record, name: str) -> Any:
    """What a column, or a field of one, holds; None where there is none, a list where records in a list differ."""
    if name in record:
        return record[name]
    outer, _, inner = name.partition(".")
    found = [field_of(its, inner) for its in _records(record.get(outer))]
    return found if any(its != found[0] for its in found) else next(iter(found), None)


def _records(held: Any) -> list[Record]:
    return [its for its in (held if isinstance(held, list) else [held]) if isinstance(its, dict)]


def renamed(record: Record, columns: Mapping[str, str]) -> Record:
    """The record with columns under our names; no other column keeps such a name, ours or theirs.

    Args:
        columns: their names by ours.
    """
    named, fields = {*columns, *columns.values()}, fields_of(record)
    others = {name: value for name, value in record.items() if name not in named}
    return others | {ours: field_of(record, theirs) for ours, theirs in columns.items() if theirs in fields}


def check_unjudged(file: Path, records: Sequence[Record], own: Collection[str]) -> None:
    """Let no table of corrections pass that may be one of judged edits, or of rewrites.

    Args:
        own: the columns and fields of its format, and those of its tasks.

    Raises:
        UserError: another column or field is called as judgements are, or has nothing but words of labels or of tasks.
    """
    for name, values in _values(records, own).items():
        its = list(_listed(values))
        relations = {RELATIONS.get(task_name(value)) for value in its}
        judges = its and (_JUDGES.search(name.rpartition(".")[2]) or all(map(says_label, its)))
        ours = "label" if judges else "task" if "rewrite" in relations and None not in relations else None
        if ours:
            raise UserError(
                f"{file}: the column {name!r} may be a {ours}; say so in the source, columns: {{{ours}: {name}}}, or "
                "else format: parallel"
            )


def _values(records: Sequence[Record], own: Collection[str]) -> dict[str, list[Any]]:
    """What the records have in each column and field but their own, where it is filled."""
    names = dict.fromkeys(name for record in records for name in fields_of(record) if name not in own)
    return {name: [value for record in records if not is_blank(value := field_of(record, name))] for name in names}


def _listed(values: Iterable[Any]) -> Iterator[Any]:
    """What is said in values, of which some may be lists."""
    for value in values:
        if isinstance(value, list):
            yield from _listed(value)
        elif not is_blank(value):
            yield value


def split_column(file: Path, records: Sequence[Record], own: frozenset[str], of_file: str | None) -> str:
    """The column or field that says the split of a row: `split`, or one that is called so, or says nothing but splits.

    A column that is called for something else may say so by chance (`env: dev`), unless training is among it and no
    other word.

    Args:
        own: the columns of its format.
        of_file: what the file's name says.

    Raises:
        UserError: several columns say it, or one may say it and nothing else does.
    """
    values = _values(records, own)
    if values.get("split"):
        return "split"
    filled = {name: its for name, its in values.items() if its}
    flags = (name for name in filled if splits_in(name) and all(str(its).lower() in _FLAGS for its in filled[name]))
    if of_file in (None, "train") and (flag := next(flags, None)):
        raise UserError(
            f"{file}: the column {flag!r} may say the split; write train, validation or test into a column "
            "`split`, or say in the source split: train, validation, test or cut"
        )
    said = {name: {split_of(its) if says_split(its) else None for its in filled[name]} for name in filled}
    only = [name for name in filled if None not in said[name]]
    sure = [name for name in only if "train" in said[name]]
    sure += [name for name in filled if _OF_SPLITS.search(name) and any(map(_names_split, filled[name]))]
    may = [name for name in filled if said[name] - {None} > {"train"}]
    found = list(dict.fromkeys([*sure, *only, *may]))
    if len(found) > 1 if sure else found and not of_file:
        raise UserError(
            f"{file}: a column may say the split ({', '.join(found)}); say it in the source: "
            f"{{path: ..., columns: {{split: {found[0]}}}}}, or split: train, validation, test or cut"
        )
    blank = sorted((name for name in values.keys() - filled if _OF_SPLITS.search(name)), key="split".__ne__)
    return [*sure, *blank, "split"][0]  # later rows may fill one that is blank


def _names_split(value: Any) -> bool:
    """Whether a few words have one of a split among them: `test (unseen)`."""
    return isinstance(value, str) and len(value.split()) <= 3 and bool(splits_in(value))
