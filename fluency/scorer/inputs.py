"""Edits as they are handed over: rows, records or columns; and the normal form in which both sentences are scored."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fluency.edits.edit import Edit
from fluency.edits.forms import (
    EDIT_COLUMNS,
    AnyEdit,
    CannotScore,
    Change,
    EditNotFound,
    as_change,
    check_sentence,
    from_record,
)
from fluency.edits.sentence import visible


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
    edit = edit.tolist() if isinstance(edit, np.ndarray) else edit
    try:
        change = as_change(edit)
    except EditNotFound:  # the part may stand there with another blank, or an accent in another form
        if any(isinstance(its, Edit) for its in edit):
            raise
        change = as_change([visible(its) if isinstance(its, str) else its for its in edit])
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
        TypeError, ValueError: as `columns_of`; or there are two lists of two texts, which may as well be two columns.
    """
    if isinstance(edits, Mapping) or hasattr(edits, "columns"):
        columns = {name: values_of(column) for name, column in columns_of(edits).items()}
        lengths = {name: len(values) for name, values in columns.items()}
        if len({*lengths.values()}) > 1:
            raise ValueError(f"columns of several lengths: {lengths}")
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    if hasattr(edits, "to_pylist"):  # an Arrow array of records
        return edits.to_pylist()
    if isinstance(edits, Sequence) and len(edits) == 2 and all(_is_column_of_two(item) for item in edits):
        raise ValueError("two lists of two: two edits, or two columns? Give edits as tuples, or zip(before, after)")
    return edits


def columns_of(table: Any) -> dict[str, Any]:
    """The columns of a table, by name: of a mapping, of Arrow, or of a DataFrame.

    Raises:
        TypeError: it is one row, with texts in the place of columns.
        ValueError: two columns have one name.
    """
    names = list(getattr(table, "column_names", getattr(table, "columns", table)))
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ValueError(f"two columns are called {twice[0]!r}; rename one")
    # Arrow's own columns would not do: datasets takes none back from what maps a batch
    columns = table.to_pydict() if hasattr(table, "to_pydict") else {name: table[name] for name in names}
    if any(isinstance(columns[name], str | None) for name in EDIT_COLUMNS & columns.keys()):
        raise TypeError("one row, where columns are needed; put it into a list, or give map `batched=True`")
    return columns


def _is_column_of_two(item: Any) -> bool:
    return not isinstance(item, str | tuple | Mapping) and hasattr(item, "__len__") and len(item) == 2


def values_of(column: Any) -> list[Any]:
    """The values of a column: a sequence, or an array of NumPy, pandas or Arrow."""
    for method in ("tolist", "to_pylist"):
        if hasattr(column, method):
            return getattr(column, method)()
    return list(column)


def is_missing(value: Any) -> bool:
    """Whether a value is what tables have where there is none: None, NaN, or the NA of pandas."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # NA is neither equal to itself nor not
        return True
