"""Texts of several sentences with their annotators' edits, as W&I+LOCNESS and FCE have them in JSON."""

import re
from collections.abc import Iterator
from typing import Any

SentenceEdit = tuple[int, int, str | None, str | None]  # start, end, correction (None: not given), kind

_GAP = re.compile(r"(?<=[.!?])[\"'”’)\]]*(\s+)(?=[\"'“‘(\[]?[^\Wa-z_])|(\s*\n\s*)")


def sentences_of(text: str, annotated: Any) -> Iterator[tuple[str, list[SentenceEdit]]]:
    """The sentences of a text with the edits of each annotator, one annotator after the other.

    Sentences end at a line break, or at a full stop before a capital; never inside an edit.

    Args:
        annotated: `[[annotator, [[start, end, correction, kind], ...]], ...]`, with offsets of characters; the kind
            may be missing.

    Raises:
        ValueError: it is none of that, or edits overlap or leave the text.
    """
    for edits in _edits_of(annotated):
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


def _edits_of(annotated: Any) -> Iterator[list[SentenceEdit]]:
    try:
        for _, edits in annotated:
            found = [(int(start), int(end), correction, *rest[:1]) for start, end, correction, *rest in edits]
            if any(not isinstance(correction, str | None) for _, _, correction, *_ in found):
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
