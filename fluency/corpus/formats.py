"""Formats of edit corpora: what one record says, as drafts of canonical rows. A table's columns tell its format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fluency.corpus.drafts import Draft, is_blank
from fluency.corpus.essays import offset, sentences_of
from fluency.corpus.labels import Labels
from fluency.corpus.m2 import Block, corrected, joined
from fluency.corpus.readers import Record
from fluency.corpus.tasks import relation_of, task_in, without_instruction
from fluency.edits.edit import Edit, apply_all, occurrences, widened

# names of a sentence with a mistake and of its correction
SIDES = (("src", "tgt"), ("source", "target"), ("input", "output"), ("original", "corrected"),
         ("incorrect", "correct"))  # fmt: skip
# names of two sentences of which only a label, or `data.format`, says which is the better
_PAIRS = (("before", "after"), ("text1", "text2"), ("sentence1", "sentence2"))


@dataclass(frozen=True)
class Meaning:
    """What a file's records are read by, beside themselves.

    Attributes:
        label: what a label means.
        known: whether the corpus has a sentence, for formats that name an edit's words without their place.
        relations: what tasks mean, by `task_name`.
        tasks: the columns that say a record's task, in the order in which they count.
        instructions: prefixes of the sources that are no part of a sentence.
    """

    label: Labels
    known: Callable[[str], bool]
    relations: Mapping[str, str]
    tasks: Sequence[str]
    instructions: frozenset[str]


# A ValueError among the drafts rejects a part of the record, one that is raised all of it.
Reader = Callable[[Record, Meaning], Iterator[Draft | ValueError]]


def _reference(record: Record, meaning: Meaning) -> Iterator[Draft]:
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
    edit = (
        edits[0] if len(edits) == 1 else next((edit for edit in edits if meaning.known(edit.apply(before))), edits[0])
    )
    label = meaning.label("expected_score", record.get("expected_score"))
    yield Draft("labelled", before, edit.apply(before), edit, label)


def _parallel(source: str, target: str) -> Reader:
    """Source and target; in a corpus of tasks the source begins with its instruction (`Fix grammar: She go.`).

    An instruction in a column of its own says what the target is, as a task does.
    """

    def read(record: Record, meaning: Meaning) -> Iterator[Draft]:
        before, after = _text(record, source), _text(record, target)
        column, task = task_in(record, meaning.tasks) or ("task", None)
        sentence = without_instruction(before, after, task, meaning.instructions)
        instruction = before[: -len(sentence)] if len(sentence) < len(before) else ""
        relation = relation_of(column, task, meaning.relations, instruction)
        yield Draft(relation, sentence.strip(), after.strip(), kind=task and str(task))

    return read


def _translation(record: Record, meaning: Meaning) -> Iterator[Draft]:
    """Both texts in one column, as corpora of translation have them."""
    texts = record["translation"]
    for source, target in SIDES:
        if isinstance(texts, dict) and source in texts and target in texts:
            return _parallel(source, target)(record | texts, meaning)
    known = " or ".join(map("/".join, SIDES))
    raise ValueError(f"translation: its fields say not which text is the better; {known} do, or the source's columns")


def _preference(record: Record, _: Meaning) -> Iterator[Draft]:
    """Of two answers the chosen one corrects the other; of a conversation the last turn counts."""
    texts = [_text({column: _answer(record.get(column))}, column).strip() for column in ("rejected", "chosen")]
    if texts[0] == texts[1]:
        raise ValueError("chosen, rejected: the same text")
    yield Draft("correction", *texts)


def _answer(value: Any) -> Any:
    """What a text, a turn (`content`, in one part) or a conversation says last."""
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1]
    if isinstance(value, dict):
        value = value.get("content", value.get("value"))
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0].get("text")
    if isinstance(value, str) and value.startswith("[{"):
        raise ValueError("chosen, rejected: a conversation written as text; JSON Lines or Parquet hold it as it is")
    return value


def _jfleg(record: Record, _: Meaning) -> Iterator[Draft | ValueError]:
    corrections = record.get("corrections")
    if not isinstance(corrections, list):
        raise ValueError("corrections: expected a list of sentences")
    return read_corrections(_text(record, "sentence"), corrections)


def read_corrections(sentence: str, corrections: Sequence[Any]) -> Iterator[Draft | ValueError]:
    """A sentence and the corrections of several annotators. JFLEG ends some lines with a space and some without."""
    if not sentence.strip():
        raise ValueError("before: empty")
    texts = [text.strip() if isinstance(text, str) else "" for text in corrections]
    if not any(texts):
        raise ValueError("corrections: there are none")
    for number, text in enumerate(texts, 1):
        if text:
            yield Draft("correction", sentence.strip(), text)
        else:
            yield ValueError(f"corrections: one is no sentence; number {number}")


def _essays(record: Record, _: Meaning) -> Iterator[Draft | ValueError]:
    """Texts with the edits of each annotator (W&I, FCE), sentence by sentence."""
    for before, edits in sentences_of(_text(record, "text"), record.get("edits")):
        if any(correction is None for _, _, correction, _ in edits):
            yield ValueError(f"edits: a mistake without its correction; {before[:80]!r}")
            continue
        its = [Edit(start, before[start:end], correction) for start, end, correction, _ in edits]
        kind = "+".join(sorted({kind for *_, kind in edits if kind})) or None
        yield Draft("correction", before, apply_all(its, before), its[0] if len(its) == 1 else None, kind=kind)


def _labelled(before: str, after: str) -> Reader:
    def read(record: Record, meaning: Meaning) -> Iterator[Draft]:
        sentences = _text(record, before), _text(record, after)
        edit, start = None, record.get("edit_start")
        if not is_blank(start) and not all(is_blank(record.get(column)) for column in ("removed", "inserted")):
            start = offset("edit_start", start)
            edit = Edit(start, *(_text(record, column, blank=True) for column in ("removed", "inserted")))
            spliced = sentences[0][:start] + edit.inserted + sentences[0][edit.end :]
            if not sentences[0].startswith(edit.removed, start) or spliced != sentences[1]:
                raise ValueError("edit_start, removed, inserted: not the edit that leads from before to after")
        else:
            sentences = sentences[0].strip(), sentences[1].strip()
        yield Draft("labelled", *sentences, edit, meaning.label("label", record.get("label")))

    return read


def read_m2(block: Block, *, join: bool) -> Iterator[Draft | ValueError]:
    """The corrections of each annotator; their kinds are those of their edits.

    Args:
        join: without the spaces that tokens have between them.
    """
    written = joined if join else " ".join
    for annotations in block.annotators.values():
        try:
            after = corrected(block.tokens, annotations)
        except ValueError as error:
            yield error
            continue
        kinds = sorted({annotation.kind for annotation in annotations})
        yield Draft("correction", written(block.words), written(after), kind="+".join(kinds))


# The sets of columns that tell a table's format, most telling first.
Format = tuple[str, frozenset[str], Reader]
TABLES: tuple[Format, ...] = (
    (
        "reference",
        frozenset({"original_sentence", "inappropriate_part", "rewritten_part", "expected_score"}),
        _reference,
    ),
    *(("labelled", frozenset({*pair, "label"}), _labelled(*pair)) for pair in (*_PAIRS, *SIDES)),
    *(("parallel", frozenset(pair), _parallel(*pair)) for pair in SIDES),
    ("parallel", frozenset({"before_sent", "after_sent", "labels"}), _parallel("before_sent", "after_sent")),
    ("parallel", frozenset({"translation"}), _translation),
    ("jfleg", frozenset({"sentence", "corrections"}), _jfleg),
    ("preference", frozenset({"chosen", "rejected"}), _preference),
    ("essays", frozenset({"text", "edits"}), _essays),
)
# Those that the columns alone don't tell.
ASKED_FOR: tuple[Format, ...] = tuple(("parallel", frozenset(pair), _parallel(*pair)) for pair in _PAIRS)


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
        if blank and is_blank(value):
            return ""
        raise ValueError(f"{column}: expected text; found {value!r}"[:200])
    if not blank and not value.strip():
        raise ValueError(f"{column}: empty")
    return value
