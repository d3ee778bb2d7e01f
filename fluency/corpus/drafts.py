"""Drafts: what a record says of a row, before its place in the corpus is known; and how the sample says it."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fluency.edits.edit import Edit
from fluency.edits.forms import check_sentence
from fluency.edits.sentence import visible

_BYTE_ORDER_MARK = "\ufeff"  # begins a file; within one, it was put together from several


@dataclass(frozen=True, slots=True)
class Draft:
    """What a record says of one row; the attributes are a `Row`'s."""

    relation: str
    before: str
    after: str | None
    edit: Edit | None = None
    label: int | None = None
    kind: str | None = None


def number_of(value: Any) -> float | None:
    """The finite number that a cell holds, also as text; None where it holds none, as in True, `1_0` or `inf`."""
    try:
        number = math.nan if isinstance(value, bool) or "_" in str(value) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def is_blank(value: Any) -> bool:
    """Whether a cell holds nothing: null, no text, or NaN, which some tables have for null."""
    return value is None or value == "" or value != value


def checked(draft: Draft) -> Draft:
    """The draft itself.

    Raises:
        ValueError: a sentence is blank or invisible, begins as a file does, is too long, or no text that a file can
            hold.
    """
    _check("before", draft.before)
    if draft.after is not None:  # a plain sentence has no other
        _check("after", draft.after)
    return draft


def _check(name: str, sentence: str) -> None:
    check_sentence(name, sentence)
    if sentence[0] > "~" and (sentence[0] == _BYTE_ORDER_MARK or not visible(sentence)):
        raise ValueError(f"{name}: nothing but characters that are not seen, or a byte order mark first")


# The sample's own: a sentence a line, an edit as [left|right] (data/sample/README.md).
_EDITED = re.compile(r"([-=!]) (\w+): ([^\[\]|]*)\[([^\[\]|]*)\|([^\[\]|]*)\]([^\[\]|]*)")


def read_sample(line: str) -> Iterator[Draft]:
    """A line of the sample."""
    match = _EDITED.fullmatch(line)
    if not match:
        if re.search(r"[\[\]|]", line) or line.startswith(("- ", "= ", "! ")):
            raise ValueError("neither a sentence nor `- kind: text [left|right] text`")
        yield Draft("sentence", line, None, kind="plain")
        return
    mark, kind, head, left, right, tail = match.groups()
    fluent, other = head + left + tail, head + right + tail
    if mark == "!":
        yield Draft("labelled", fluent, other, Edit(len(head), left, right), label=0, kind=kind)
    elif mark == "=":
        yield Draft("rewrite", fluent, other, Edit(len(head), left, right), kind=kind)
    else:
        yield Draft("correction", other, fluent, Edit(len(head), right, left), kind=kind)
