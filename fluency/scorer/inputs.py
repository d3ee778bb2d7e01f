"""Edits as they are handed over: rows, records or columns; and the normal form in which both sentences are scored."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import regex

from fluency.edits.forms import EDIT_COLUMNS, AnyEdit, CannotScore, Change, as_change, check_sentence, from_record

# What no reader sees: zero-width characters, soft hyphens, variation selectors, control characters.
_INVISIBLE = regex.compile(r"[[\p{Default_Ignorable_Code_Point}\p{Cc}]--\s]", regex.V1)


def visible(text: str) -> str:
    """The normal form of a text: what a reader sees of it, with one blank where it has any white space.

    Example:
        >>> visible("She\\u200b goes\\nhome. ")
        'She goes home.'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(_INVISIBLE.sub("", text).split())


def change_of(edit: AnyEdit | Mapping[str, Any]) -> Change:
    """The sentences before and after an edit, in their normal form; they are equal where a reader sees no change.

    Args:
        edit: in one of the forms of `as_change`, an array of them, or a record as `from_record` takes it.

    Raises:
        CannotScore: as `as_change` and `from_record`.
    """
    if isinstance(edit, Mapping):
        edit = from_record(
            {name: None if is_missing(edit[name]) else edit[name] for name in EDIT_COLUMNS & edit.keys()}
        )
    change = as_change(edit.tolist() if isinstance(edit, np.ndarray) else edit)
    before, after = map(visible, change)
    if (before, after) != change:  # nothing may be left of one that is made of what no reader sees
        check_sentence("before", before)
        check_sentence("after", after)
    return before, after


def change_or_error(edit: AnyEdit | Mapping[str, Any] | CannotScore) -> Change | CannotScore:
    """What `change_of` gives, or the error that it raises; an error stays as it is."""
    try:
        return edit if isinstance(edit, CannotScore) else change_of(edit)
    except CannotScore as error:
        return error


def each_edit(edits: Any) -> Iterable[AnyEdit | Mapping[str, Any]]:
    """The edits in whatever holds them: an iterable of edits, or a table of columns, whose rows are records.

    Raises:
        ValueError: there are two lists of two texts, which may as well be two columns.
    """
    if hasattr(edits, "to_pylist"):  # Arrow
        return edits.to_pylist()
    if isinstance(edits, Mapping) or hasattr(edits, "columns"):
        return _rows(edits)
    if isinstance(edits, Sequence) and len(edits) == 2 and all(_is_column_of_two(item) for item in edits):
        raise ValueError("two lists of two: two edits, or two columns? Give edits as tuples, or zip(before, after)")
    return edits


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    names = list(table.columns if hasattr(table, "columns") else table)
    columns = [values_of(table[name]) for name in names]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def _is_column_of_two(item: Any) -> bool:
    return not isinstance(item, str | tuple | Mapping) and hasattr(item, "__len__") and len(item) == 2


def values_of(column: Any) -> list[Any]:
    """The values of a column: a sequence, a NumPy array or a pandas series."""
    return column.tolist() if hasattr(column, "tolist") else list(column)


def is_missing(value: Any) -> bool:
    """Whether a value is what tables have where there is none: None, NaN, or the NA of pandas."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # NA is neither equal to itself nor not
        return True
