"""The edit: one replacement at one place in a sentence. Pure functions over strings."""

from collections.abc import Iterator
from dataclasses import dataclass

import regex
from rapidfuzz.distance import Levenshtein

# A word with its combining marks, a run of white space, or one grapheme of anything else. Apostrophes and hyphens
# stay inside words, so that "don't" is one token. `\X` never splits a grapheme (an emoji with modifiers, say).
_TOKEN = regex.compile(r"(?:\w\p{M}*)+(?:['’\-](?:\w\p{M}*)+)*|\s+|\X")


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `removed`, found at character offset `start`, by `inserted`.

    Example:
        >>> Edit(5, "are", "is").apply("This are a test.")
        'This is a test.'
    """

    start: int
    removed: str
    inserted: str

    @property
    def end(self) -> int:
        """The offset after the last removed character."""
        return self.start + len(self.removed)

    @property
    def type(self) -> str:
        """`insert`, `delete` or `replace`, by which side has more than white space."""
        if not self.removed.strip():
            return "insert"
        return "replace" if self.inserted.strip() else "delete"

    def apply(self, before: str) -> str:
        """The sentence after the edit.

        Raises:
            ValueError: `removed` does not stand at `start` in `before`.
        """
        if before[self.start : self.end] != self.removed:
            raise ValueError(f"{self.removed!r} does not stand at offset {self.start} of {before!r}")
        return before[: self.start] + self.inserted + before[self.end :]

    def invert(self) -> "Edit":
        """The edit that leads back from after to before."""
        return Edit(self.start, self.inserted, self.removed)


def tokenize(text: str) -> list[str]:
    """Split into words, white space and single graphemes; joined again they are `text`."""
    return _TOKEN.findall(text)


def extract(before: str, after: str) -> list[Edit]:
    """The edits that lead from `before` to `after`, left to right, with offsets into `before`.

    Tokens are aligned by Levenshtein distance; changes with nothing but white space between them are one edit.
    An empty list means that the sentences are the same.
    """
    edits: list[Edit] = []
    for start, end, inserted in _changes(tokenize(before), tokenize(after)):
        if edits and not before[edits[-1].end : start].strip():
            last = edits.pop()
            gap = before[last.end : start]
            start, inserted = last.start, last.inserted + gap + inserted
        edits.append(Edit(start, before[start:end], inserted))
    return edits


def _changes(source: list[str], target: list[str]) -> Iterator[tuple[int, int, str]]:
    offsets = [0]
    for token in source:
        offsets.append(offsets[-1] + len(token))
    for code in Levenshtein.opcodes(source, target):
        if code.tag != "equal":
            inserted = "".join(target[code.dest_start : code.dest_end])
            yield offsets[code.src_start], offsets[code.src_end], inserted


def occurrences(part: str, sentence: str) -> list[int]:
    """The offsets at which `part` stands in `sentence` as whole tokens; anywhere at all if it never does."""
    everywhere = [match.start() for match in regex.finditer(regex.escape(part), sentence, overlapped=True)]
    bounds = {0}
    for token in tokenize(sentence):
        bounds.add(max(bounds) + len(token))
    return [at for at in everywhere if at in bounds and at + len(part) in bounds] or everywhere
