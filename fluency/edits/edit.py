"""The edit: one replacement at one place in a sentence. Pure functions over strings."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import regex
from rapidfuzz.distance import Levenshtein, Postfix, Prefix

# A word, a run of white space, or one grapheme of anything else. Apostrophes and hyphens stay inside words, so that
# "don't" is one token. `\X` is a whole grapheme: a letter with its marks, an emoji with its modifiers, a flag.
# In scripts without spaces between words each grapheme is a token, or a clause would be one word; Unicode's word
# boundaries do the same. LB=SA are the scripts (Thai, Lao, Khmer ...) whose words they leave to dictionaries.
_LETTER = r"(?=[\w--[\p{Han}\p{Hiragana}\p{LB=SA}]])\X"
_TOKEN = regex.compile(rf"(?:{_LETTER})+(?:(?=['’\-])\X(?:{_LETTER})+)*|(?:(?=\s)\X)+|\X", regex.V1)
_ASCII_TOKEN = re.compile(r"\w+(?:['\-]\w+)*|\s+|.", re.ASCII | re.DOTALL)  # the same, six times as fast


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
        return apply_all([self], before)

    def invert(self) -> "Edit":
        """The edit that leads back from after to before."""
        return Edit(self.start, self.inserted, self.removed)


def tokenize(text: str) -> list[str]:
    """Split into words, white space and single graphemes; joined again they are `text`."""
    return (_ASCII_TOKEN if text.isascii() else _TOKEN).findall(text)


def apply_all(edits: Iterable[Edit], before: str) -> str:
    """The sentence after several edits, all of them with offsets into `before` and in order.

    Raises:
        ValueError: two edits overlap, or a removed text does not stand at its place.
    """
    pieces, done = [], 0
    for edit in edits:
        if edit.start < done:
            raise ValueError(f"the edit overlaps the one before it; at offset {edit.start}")
        if before[edit.start : edit.end] != edit.removed:
            raise ValueError(f"the removed text does not stand at its place; {edit.removed!r} at offset {edit.start}")
        pieces += before[done : edit.start], edit.inserted
        done = edit.end
    return "".join(pieces) + before[done:]


def extract(before: str, after: str) -> list[Edit]:
    """The edits that lead from `before` to `after`, left to right, with offsets into `before`.

    Tokens are aligned by Levenshtein distance; changes with nothing but white space between them are one edit.
    An empty list means that the sentences are the same.
    """
    edits: list[Edit] = []
    first, last = _common_words(before, after)
    sides = (tokenize(text[first : len(text) - last]) for text in (before, after))
    for start, end, inserted in _changes(*sides, first):
        if edits and not before[edits[-1].end : start].strip():
            previous = edits.pop()
            gap = before[previous.end : start]
            start, inserted = previous.start, previous.inserted + gap + inserted
        edits.append(Edit(start, before[start:end], inserted))
    return edits


def spanning(before: str, after: str) -> Edit:
    """The one edit that leads from `before` to `after`, which differ: from the first of its changes to the last."""
    edits = extract(before, after)
    start, tail = edits[0].start, len(before) - edits[-1].end
    return Edit(start, before[start : len(before) - tail], after[start : len(after) - tail])


def _common_words(before: str, after: str) -> tuple[int, int]:
    """How many characters at the start and at the end need not be aligned: whole words that both have there.

    Both cuts are between a word and a space, where tokens end; beyond ASCII a space may belong to what precedes it.
    """
    if not (before.isascii() and after.isascii()):
        return 0, 0
    same = Prefix.similarity(before, after)
    first = max(before.rfind(" ", 0, same), 0)
    if before[first - 1 : first].isspace():
        first = 0
    tail = before[len(before) - Postfix.similarity(before[same:], after[same:]) :]
    space = tail.find(" ", 1)
    return first, len(tail) - space if space > 0 and not tail[space - 1].isspace() else 0


def _changes(source: list[str], target: list[str], first: int) -> Iterator[tuple[int, int, str]]:
    """What changes between two lists of tokens, the first of which stands at offset `first`."""
    offsets = list(accumulate(map(len, source), initial=first))
    for code in Levenshtein.opcodes(source, target):
        if code.tag != "equal":
            inserted = "".join(target[code.dest_start : code.dest_end])
            yield offsets[code.src_start], offsets[code.src_end], inserted


def occurrences(part: str, sentence: str) -> list[int]:
    """The offsets at which `part` stands in `sentence` as whole tokens; anywhere at all if it never does."""
    everywhere, at = [], sentence.find(part)
    while at >= 0:
        everywhere.append(at)
        at = sentence.find(part, at + 1)
    if len(everywhere) < 2:
        return everywhere
    bounds = set(accumulate(map(len, tokenize(sentence)), initial=0))
    return [at for at in everywhere if at in bounds and at + len(part) in bounds] or everywhere


def widened(edit: Edit, before: str) -> Edit:
    """The edit with words around it, until its `removed` text is not blank and stands nowhere else in `before`.

    Whoever replaces the first occurrence of `removed`, as the reference does, then makes this edit and no other.

    Raises:
        ValueError: `before` is blank.
    """
    if not before.strip():
        raise ValueError("a blank sentence has no words to name an edit by")
    bounds = list(accumulate(map(len, tokenize(before)), initial=0))
    start, end, rightwards = edit.start, edit.end, True
    while not _stands_alone(before[start:end], start, before) and (start, end) != (0, len(before)):
        if (rightwards and end < len(before)) or start == 0:
            end = bounds[bisect_right(bounds, end)]
        else:
            start = bounds[bisect_left(bounds, start) - 1]
        rightwards = not rightwards
    return Edit(start, before[start:end], before[start : edit.start] + edit.inserted + before[edit.end : end])


def _stands_alone(part: str, start: int, sentence: str) -> bool:
    return part.strip() == part != "" and sentence.find(part) == start and sentence.find(part, start + 1) < 0
