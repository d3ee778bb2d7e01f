"""Texts of several sentences with their annotators' edits, as W&I+LOCNESS and FCE have them in JSON."""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from fluency.corpus.drafts import offset

SentenceEdit = tuple[int, int, str | None, str | None]  # start, end, correction (None: not given), kind

_GAP = re.compile(r"(?<=[.!?])[\"'”’)\]]*(\s+)(?=[\"'“‘(\[]?[^\Wa-z_])|(\s*\n\s*)")


def sentences_of(text: str, annotated: Any) -> Iterator[tuple[str, list[SentenceEdit]]]:
    """The sentences of a text with the edits of each annotator, one annotator after the other.

    Sentences end at a line break, or at a full stop before a capital; never inside an edit.

    Args:
        annotated: `[[annotator, [[start, end, correction, kind], ...]], ...]`, with offsets of characters; the kind
            may be missing.

    Raises:
        ValueError: it is none of that, edits overlap or leave the text, or offsets seem to be of other units.
    """
    annotators = list(_edits_of(annotated))
    _check_units(text, {bound for edits in annotators for edit in edits for bound in edit[:2]})
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


def _check_units(text: str, bounds: set[int]) -> None:
    """Refuse offsets that cut words as characters, and none as another unit in which editors and languages count."""

    def cuts_words(at: Iterable[int]) -> bool:
        return any(text[max(place - 1, 0) : place].isalnum() and text[place : place + 1].isalnum() for place in at)

    if text.isascii() or not cuts_words(bounds):
        return
    for unit, encoding, size in (("bytes of UTF-8", "utf-8", 1), ("UTF-16 units", "utf-16-le", 2)):
        lengths = [len(character.encode(encoding, "surrogatepass")) // size for character in text]
        place_of = {place: at for at, place in enumerate(accumulate(lengths, initial=0))}
        if bounds <= place_of.keys() and not cuts_words(map(place_of.__getitem__, bounds)):
            raise ValueError(f"edits: their offsets seem to count {unit}, and are to count characters")


def _edits_of(annotated: Any) -> Iterator[list[SentenceEdit]]:
    try:
        for _, edits in annotated:
            found = [
                (offset("edits", start), offset("edits", end), correction, *rest[:1])
                for start, end, correction, *rest in edits
            ]
            if any(
                start is None or end is None or not isinstance(correction, str | None)
                for start, end, correction, *_ in found
            ):
                raise ValueError
            yield sorted((edit if len(edit) == 4 else (*edit, None) for edit in found), key=lambda edit: edit[:2])
    except (TypeError, ValueError):
        raise ValueError("edits: expected [[annotator, [[start, end, correction], ...]], ...]") from None


def _gaps(text: str, edits: list[SentenceEdit]) -> Iterator[tuple[int, int]]:
    """The white space between sentences that no edit touches: where it starts and ends."""
    for match in _GAP.finditer(text):
        start, end = match.span(1) if match[1] else match.span(2)
        if not any(first < end and start < last for first, last, *_ in edits):
            yield start, end
