"""What is scored: a sentence before and after one edit, in any of the forms in which users have it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fluency.edits.edit import Edit, occurrences

Change = tuple[str, str]  # a sentence before and after an edit
# (before, after), (sentence, Edit), or the reference's (sentence, part, rewrite) with, maybe, the part's occurrence
AnyEdit = Sequence[Any]

MAX_CHARACTERS = 20_000  # of a sentence; what is longer is a broken file, and no model reads it

# The columns in which a record may have an edit; those of three may have `occurrence` beside them.
_COLUMNS = (
    ("before", "after"),
    ("original_sentence", "inappropriate_part", "rewritten_part"),
    ("sentence", "part", "rewrite"),
)
EDIT_COLUMNS = frozenset({"occurrence"}.union(*_COLUMNS))


class CannotScore(ValueError):  # noqa: N818 (reads as what it says where it is caught)
    """An edit has no score; the message says why."""


class EmptySentence(CannotScore):
    """A sentence before or after the edit is missing or blank."""


class NotText(CannotScore):
    """A sentence holds what is no Unicode text."""


class TooLong(CannotScore):
    """The sentences are longer than what the model was trained and calibrated on."""


class EditNotFound(CannotScore):
    """The part that the edit replaces does not stand in the sentence, or not at its place."""


class AmbiguousEdit(EditNotFound):
    """The part that the edit replaces stands in the sentence more than once, and nothing says which is meant."""


def as_change(edit: AnyEdit) -> Change:
    """The sentence before and after an edit.

    Args:
        edit: one of
            (before, after);
            (sentence, Edit), the edit with its offset;
            (sentence, part, rewrite), where `part` stands in the sentence once;
            (sentence, part, rewrite, occurrence), which counts from 0 the places where `part` stands as whole words.
            An empty rewrite deletes the part and the white space before it (at the start: after it).

    Raises:
        CannotScore: one of its subclasses, by what is wrong; itself where `edit` has none of these forms.

    Example:
        >>> as_change(("She very goes very slowly.", "very", "", 0))
        ('She goes very slowly.', 'She goes very slowly.')
    """
    match edit:
        case [before, Edit() as own]:
            check_sentence("sentence", before)
            try:
                after = own.apply(before)
            except ValueError as error:
                raise EditNotFound(str(error)) from None
        case [before, after]:
            check_sentence("before", before)
        case [before, part, rewrite, *which] if len(which) < 2:
            check_sentence("sentence", before)
            after = _replaced(before, part, rewrite, which[0] if which else None).apply(before)
        case _:
            raise CannotScore("neither (before, after), (sentence, Edit) nor (sentence, part, rewrite[, occurrence])")
    check_sentence("after", after)
    return before, after


def from_record(record: Mapping[str, Any]) -> AnyEdit:
    """The edit that a record has in its columns: `before, after`, or the reference's with, maybe, `occurrence`.

    Raises:
        CannotScore: it has none of these sets of columns.
    """
    for columns in _COLUMNS:
        if all(column in record for column in columns):
            edit = tuple(record[column] for column in columns)
            occurrence = record.get("occurrence") if len(edit) == 3 else None
            none = occurrence in (None, "") or occurrence != occurrence  # NaN, as tables of numbers have it
            return edit if none else (*edit, occurrence)
    raise CannotScore(f"no columns {' or '.join(', '.join(columns) for columns in _COLUMNS)}")


def check_sentence(name: str, sentence: Any) -> None:
    """Let a sentence pass that a model can read.

    Raises:
        EmptySentence, TooLong, NotText: it is none; the message begins with `name`.
    """
    if sentence is None or (isinstance(sentence, str) and not sentence.strip()):
        raise EmptySentence(f"{name}: empty")
    if not isinstance(sentence, str):
        raise NotText(f"{name}: no text, but {type(sentence).__name__}")
    if len(sentence) > MAX_CHARACTERS:
        raise TooLong(f"{name}: too long; {len(sentence)} characters, where {MAX_CHARACTERS} are the most")
    if "\0" in sentence:
        raise NotText(f"{name}: a NUL character")
    if not sentence.isascii() and re.search("[\ud800-\udfff]", sentence):
        raise NotText(f"{name}: a lone surrogate, which is no Unicode text")


def _replaced(sentence: str, part: Any, rewrite: Any, occurrence: Any) -> Edit:
    """The edit that puts `rewrite` where `part` stands."""
    if not (isinstance(part, str) and part.strip()):
        raise EditNotFound("part: empty, so its place is unknown; give (before, after)")
    if not isinstance(rewrite, str):
        raise NotText(f"rewrite: no text, but {type(rewrite).__name__}")
    starts = occurrences(part, sentence)
    if not starts:
        raise EditNotFound(f"part: {part[:80]!r} does not stand in the sentence")
    if occurrence is None and len(starts) > 1:
        raise AmbiguousEdit(f"part: {part[:80]!r} stands in the sentence {len(starts)} times; give its occurrence")
    chosen = 0 if occurrence is None else _whole_number(occurrence)
    if chosen >= len(starts):
        raise EditNotFound(f"occurrence: {chosen}, but {part[:80]!r} stands in the sentence {len(starts)} times")
    start, end = starts[chosen], starts[chosen] + len(part)
    if rewrite.strip():
        return Edit(start, part, rewrite)
    if blank := len(sentence[:start]) - len(sentence[:start].rstrip()):
        start -= blank
    else:
        end = len(sentence) - len(sentence[end:].lstrip())
    return Edit(start, sentence[start:end], "")


def _whole_number(occurrence: Any) -> int:
    """A count from 0, also where a table has it as text or as a float."""
    try:
        number = float(occurrence)
    except (ValueError, TypeError):
        number = -1.0
    if number < 0 or not number.is_integer():
        raise EditNotFound(f"occurrence: {occurrence!r} is no count from 0")
    return int(number)
