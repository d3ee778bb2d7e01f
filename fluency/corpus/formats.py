"""Formats of edit corpora: what one record says, as drafts of canonical rows. A table's columns tell its format."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fluency.corpus.m2 import Annotation, corrected
from fluency.corpus.readers import Record
from fluency.edits.edit import Edit, occurrences, widened
from fluency.edits.forms import check_sentence

# CoEdIT's tasks whose source sentence is fluent already; the sources of all others hold mistakes.
_PRESERVING_TASKS = frozenset({"clarity", "coherence", "formality", "neutralize", "paraphrase", "simplification"})


@dataclass(frozen=True, slots=True)
class Draft:
    """What a record says of one row, before its place in the corpus is added; the attributes are a `Row`'s."""

    relation: str
    before: str
    after: str | None
    edit: Edit | None = None
    label: int | None = None
    kind: str | None = None


# Whether the corpus has a sentence, for formats that name an edit's words without their place.
Known = Callable[[str], bool]
Reader = Callable[[Record, Known], Iterator[Draft]]


def checked(draft: Draft) -> Draft:
    """The draft itself.

    Raises:
        ValueError: a sentence is blank, too long, or no text that a file can hold.
    """
    check_sentence("before", draft.before)
    if draft.after is not None:  # a plain sentence has no other
        check_sentence("after", draft.after)
    return draft


def _reference(record: Record, known: Known) -> Iterator[Draft]:
    """The reference's edits name the words that are replaced, not their place.

    Where they stand more than once, that place is taken which gives a sentence that the corpus has too (its edits
    mostly come with their reverse), else the first, as the reference does.
    """
    before = _text(record, "original_sentence")
    removed = _text(record, "inappropriate_part", blank=True)
    inserted = _text(record, "rewritten_part", blank=True)
    if not removed:
        raise ValueError("inappropriate_part: empty; the place of the edit is unknown")
    edits = [Edit(start, removed, inserted) for start in occurrences(removed, before)]
    if not edits:
        raise ValueError("inappropriate_part: does not occur in the sentence")
    edit = edits[0] if len(edits) == 1 else next((edit for edit in edits if known(edit.apply(before))), edits[0])
    yield Draft("labelled", before, edit.apply(before), edit, _label(record, "expected_score"))


def _parallel(record: Record, _: Known) -> Iterator[Draft]:
    """Source and target; in a corpus of tasks the source begins with its instruction (`Fix grammar: She go.`)."""
    before, after, task = _text(record, "src"), _text(record, "tgt"), record.get("task")
    instruction, colon, rest = before.partition(":")
    if task and colon and not after.startswith(instruction + colon):
        before = rest
    relation = "rewrite" if str(task).lower() in _PRESERVING_TASKS else "correction"
    yield Draft(relation, before.strip(), after.strip(), kind=task and str(task))


def _jfleg(record: Record, _: Known) -> Iterator[Draft]:
    corrections = record.get("corrections")
    if not isinstance(corrections, list) or not all(isinstance(correction, str) for correction in corrections):
        raise ValueError("corrections: expected a list of sentences")
    return read_corrections(_text(record, "sentence"), corrections)


def read_corrections(sentence: str, corrections: Sequence[str]) -> Iterator[Draft]:
    """A sentence and the corrections of several annotators. JFLEG ends some lines with a space and some without."""
    if not corrections:
        raise ValueError("corrections: there are none")
    for correction in corrections:
        yield Draft("correction", sentence.strip(), correction.strip())


def _labelled(before: str, after: str) -> Reader:
    def read(record: Record, _: Known) -> Iterator[Draft]:
        sentences = _text(record, before), _text(record, after)
        edit = None
        if record.get("edit_start") not in (None, "") and record.get("removed") is not None:
            edit = Edit(_offset(record["edit_start"]), str(record["removed"]), _text(record, "inserted", blank=True))
            start, end = edit.start, edit.end
            spliced = sentences[0][:start] + edit.inserted + sentences[0][end:]
            if sentences[0][start:end] != edit.removed or spliced != sentences[1]:
                raise ValueError("edit_start, removed, inserted: not the edit that leads from before to after")
        yield Draft("labelled", *sentences, edit, _label(record, "label"))

    return read


def read_m2(sentence: str, annotations: Sequence[Annotation]) -> Iterator[Draft]:
    """The correction of one annotator; its kind is that of his edits."""
    kinds = sorted({annotation.kind for annotation in annotations})
    yield Draft("correction", sentence, corrected(sentence, annotations), kind="+".join(kinds))


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


# The sets of columns that tell a table's format, most telling first.
TABLES: tuple[tuple[str, frozenset[str], Reader], ...] = (
    (
        "reference",
        frozenset({"original_sentence", "inappropriate_part", "rewritten_part", "expected_score"}),
        _reference,
    ),
    ("parallel", frozenset({"src", "tgt"}), _parallel),
    ("jfleg", frozenset({"sentence", "corrections"}), _jfleg),
    ("labelled", frozenset({"before", "after", "label"}), _labelled("before", "after")),
    ("labelled", frozenset({"text1", "text2", "label"}), _labelled("text1", "text2")),
)


def as_reference(before: str, edit: Edit, label: int) -> Record:
    """The edit in the reference's schema; replacing the first occurrence of its words gives the sentence after it.

    Raises:
        ValueError: `before` is blank.
    """
    edit = widened(edit, before)
    return {"original_sentence": before, "inappropriate_part": edit.removed, "rewritten_part": edit.inserted,
            "expected_score": float(label)}  # fmt: skip


def _text(record: Record, column: str, *, blank: bool = False) -> str:
    value = record.get(column)
    if not isinstance(value, str):
        raise ValueError(f"{column}: expected text; found {value!r}"[:200])
    if not blank and not value.strip():
        raise ValueError(f"{column}: empty")
    return value


def _label(record: Record, column: str) -> int:
    value = record.get(column)
    try:
        label = float(value)
    except (TypeError, ValueError, OverflowError):
        label = None
    if label not in (0, 1):
        raise ValueError(f"{column}: neither 0 nor 1; found {value!r}"[:200])
    return int(label)


def _offset(value: Any) -> int:
    try:
        offset = int(value)
    except (TypeError, ValueError, OverflowError):
        offset = -1
    if offset < 0 or float(offset) != float(value):
        raise ValueError(f"edit_start: no offset; found {value!r}"[:200])
    return offset
