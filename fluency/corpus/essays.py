"""Texts of several sentences with their annotators' edits, as W&I+LOCNESS and FCE have them in JSON."""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain
from typing import Any

from fluency.corpus.drafts import number_of

SentenceEdit = tuple[int, int, str | None, str | None]  # start, end, correction (None: not given), kind

_NO_END = "".join(rf"(?<!\b{its}\.)" for its in ("[A-HJ-Z]", "Dr", "Mr", "Ms", "St", "Mrs", "Prof"))  # J. Smith
_GAP = re.compile(rf"(?<=[.!?]){_NO_END}[\"'”’)\]]*(\s+)(?=[\"'“‘(\[]?[^\Wa-z_])|(\s*\n\s*)")


def sentences_of(text: str, annotated: Any) -> Iterator[tuple[str, list[SentenceEdit]]]:
    """The sentences of a text with the edits of each annotator, one annotator after the other.

    Sentences end at a line break, or at a full stop before a capital; never inside an edit.

    Args:
        annotated: `[[annotator, [[start, end, correction, kind], ...]], ...]`, with offsets of characters; the kind
            may be missing. Or `{"start": [...], "end": [...], "text": [...]}`, of one annotator.

    Raises:
        ValueError: it is none of that, edits overlap or leave the text, or offsets seem to be of other units.
    """
    annotators = _edits_of(annotated)
    _check_units(text, chain.from_iterable(annotators))
    for edits in annotators:
        last = 0
        for start, end, *_ in edits:
            if not last <= start <= end <= len(text):
                raise ValueError(f"edits: one overlaps another or leaves the text; {start} {end}")
            last = end
        begin = 0
        for stop, further in [*_gaps(text, edits), (len(text), len(text))]:
            its = [(start - begin, end - begin, *rest) for start, end, *rest in edits if begin <= start <= end <= stop]
            if its or text[begin:stop].strip():
                yield text[begin:stop], its
            begin = further


def _check_units(text: str, edits: Iterable[SentenceEdit]) -> None:
    """Refuse offsets that cut words, where counted in other units, or from 1, they would cut none.

    Those of what is only put in say nothing: a word may lack a letter. Nor does a single edit that cuts a word say
    whence offsets count.
    """
    spans = [(start, end) for start, end, *_ in edits if start < end]
    bounds = {*chain.from_iterable(spans)}

    def cuts_words(at: Iterable[int]) -> bool:
        inside = range(1, len(text))
        return any(text[place - 1 : place + 1].isalnum() if place in inside else place < 0 for place in at)

    if not cuts_words(bounds):
        return
    for unit, encoding, size in (("bytes of UTF-8", "utf-8", 1), ("UTF-16 units", "utf-16-le", 2)):
        lengths = [len(character.encode(encoding, "surrogatepass")) // size for character in text]
        place_of = {place: at for at, place in enumerate(accumulate(lengths, initial=0))}
        if bounds <= place_of.keys() and not cuts_words(map(place_of.__getitem__, bounds)):
            raise ValueError(f"edits: their offsets seem to count {unit}, and are to count characters")
    if sum(map(cuts_words, spans)) > max(1, len(spans) / 2):
        for first, last in ((0, 1), (-1, -1), (-1, 0)):
            if not cuts_words(place for start, end in spans for place in (start + first, end + last)):
                raise ValueError("edits: their offsets seem to count from 1, or to the last character, not behind it")


def _edits_of(annotated: Any) -> list[list[SentenceEdit]]:
    """The edits of each annotator, in their order in the text."""
    try:
        if isinstance(annotated, dict):  # as the hub has W&I, of one annotator
            columns = [annotated[name] for name in ("start", "end", "text")]
            annotated = [(0, zip(*columns, strict=True))]
        annotators = [[(start, end, text, *rest) for start, end, text, *rest in edits] for _, edits in annotated]
    except (KeyError, TypeError, ValueError):
        raise ValueError("edits: expected [[annotator, [[start, end, correction], ...]], ...]") from None
    return [sorted((_edit(*edit) for edit in edits), key=lambda edit: edit[:2]) for edits in annotators]


def _edit(start: Any, end: Any, correction: Any, kind: Any = None, *_: Any) -> SentenceEdit:
    if not isinstance(correction, str | None):
        raise ValueError(f"edits: expected text; found {correction!r}"[:200])
    return offset("edits", start), offset("edits", end), correction, kind if isinstance(kind, str) else None


def offset(name: str, value: Any) -> int:
    """A count from 0, also where a table has it as text or as a float.

    Raises:
        ValueError: it is none; the message begins with `name`.
    """
    number = number_of(value)
    if number is None or number < 0 or not number.is_integer():
        raise ValueError(f"{name}: no offset; found {value!r}"[:200])
    return int(number)


def _gaps(text: str, edits: list[SentenceEdit]) -> Iterator[tuple[int, int]]:
    """The white space between sentences that no edit touches: where it starts and ends."""
    for match in _GAP.finditer(text):
        start, end = match.span(1) if match[1] else match.span(2)
        if not any(first < end and start < last for first, last, *_ in edits):
            yield start, end
