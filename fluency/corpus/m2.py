"""The M2 format of grammatical error correction: a tokenised sentence and its annotators' edits.

    S She go home .
    A 1 2|||R:VERB:SVA|||goes|||REQUIRED|||-NONE-|||0

Read as ERRANT writes it and in the older style of CoNLL and JFLEG; written in ERRANT's.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rapidfuzz.distance import Levenshtein

_TOKEN = re.compile(r"[^ ]+|(?:(?<= )|(?<!.)) +(?= )")
_TWO_SPACES = re.compile(r"(?<! )  (?! )")
_OTHER_SPACE = re.compile(r"\S[^\S ]|[^\S ]\S")  # a tab, say, or a no-break space, that is no token of its own
_TARGET = re.compile(r"T\d+(-A\d+)? ")
_CLOSING = re.compile(r"[.,;:!?%)\]}…、。，！？：；）」』”’]+|''|n['’]t|['’](s|re|ve|ll|d|m)", re.IGNORECASE)
_QUOTE = '"'
_OPENING = frozenset("( [ { $ £ € # `` “ ‘ （ 「 『".split())
_UNSPACED = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\u0e00-\u0e7f]")
_UNCORRECTED = ("UNK", "Um")  # kinds of mistakes to which the annotator knows no correction
_ERRANT = re.compile(r"[RMU]:.*|[RMUSW]|noop")  # kinds of ERRANT and ChERRANT


@dataclass(frozen=True, slots=True)
class Annotation:
    """One edit of one annotator: tokens `start` to `end` become `correction`; None where there is none."""

    start: int
    end: int
    kind: str
    correction: str | None


@dataclass(slots=True)
class Block:
    """A sentence and what each annotator does to it.

    Attributes:
        line: the line of the sentence in its file, from 1.
        lines: the block's lines as they stand.
        annotators: edits by annotator; an annotator who found nothing to mend has none.
    """

    line: int
    lines: list[str]
    annotators: dict[str, list[Annotation]] = field(default_factory=dict)

    @property
    def tokens(self) -> list[str]:
        """The sentence's tokens as ERRANT counts them.

        Of a raw text with spaces too many (`errant_parallel -tok`) it makes a token of each run of them but the first,
        so three spaces in a row stand for one between two others.
        """
        return _TOKEN.findall(self.lines[0][2:].rstrip())

    @property
    def words(self) -> list[str]:
        """The tokens that are no white space."""
        return [token for token in self.tokens if not token.isspace()]


def blocks(lines: Iterable[tuple[int, str]]) -> Iterator[Block]:
    """Cut numbered lines into blocks, at blank lines and before sentences; their annotations are not parsed yet."""
    block: Block | None = None
    for number, line in lines:
        if block and (not line.strip() or line.startswith("S ")):
            yield block
            block = None
        if block:
            block.lines.append(line)
        elif line.strip():
            block = Block(number, [line])
    if block:
        yield block


def parse(block: Block, silent: Iterable[str] = ()) -> Block:
    """Fill in the block's annotators.

    Args:
        silent: annotators who left the sentence as it is where they have no line.

    Raises:
        ValueError: a line is neither a sentence nor an annotation, or an annotation is malformed.
    """
    if block.lines[0].partition(" ")[0] != "S":
        raise ValueError("M2: a block begins with its sentence, `S ...`")
    sentence = block.lines[0].rstrip()
    if _TWO_SPACES.search(sentence) or _OTHER_SPACE.search(sentence):
        what = "two spaces in a row" if _TWO_SPACES.search(sentence) else "white space that is no space"
        raise ValueError(f"M2: {what}, so it is not known which tokens its offsets count; write one space")
    # kinds that replace something, or put it in; ChERRANT's R: takes it out
    needing = ("S:", "M:") if any(map(_TARGET.match, block.lines)) else ("R:", "M:")
    for line in block.lines[1:]:
        if _TARGET.match(line):  # ChERRANT's: the whole sentence after the edits that follow
            continue
        span, kind, correction, _, _, annotator = _fields(line) or [""] * 6
        if len(span.split()) != 2:
            raise ValueError(f"M2: not an annotation; {line[:80]!r}")
        try:
            start, end = map(int, span.split())
        except ValueError:
            raise ValueError(f"M2: offsets are no numbers; {line[:80]!r}") from None
        annotations = block.annotators.setdefault(annotator, [])
        if (start, end) == (-1, -1) or kind == "noop":
            continue
        correction = correction.partition("||")[0].strip()  # the first of CoNLL's alternatives
        correction = "" if correction == "-NONE-" else correction
        if _OTHER_SPACE.search(correction):
            raise ValueError(f"M2: white space that is no space in a correction; {line[:80]!r}")
        lacks = kind in _UNCORRECTED or (not correction and kind[:2] in needing)
        annotations.append(Annotation(start, end, kind, None if lacks else correction))
    for annotator in silent:
        block.annotators.setdefault(annotator, [])
    if not block.annotators:
        block.annotators["0"] = []
    return block


def silent_annotators(lines: Iterable[tuple[int, str]]) -> list[str]:
    """All annotators of a file in the older style, where one who finds no mistake in a sentence has no line there.

    None of one in the style of ERRANT or ChERRANT, which have `noop` lines for that.
    """
    found: dict[str, None] = {}
    for _, line in lines:
        if fields := _fields(line):
            if _ERRANT.fullmatch(fields[1]):
                return []
            found[fields[5]] = None
    return list(found)


def _fields(line: str) -> list[str]:
    """The fields of an annotation: its tokens, kind, correction, two that are always the same, and the annotator."""
    fields = [field.strip() for field in line.removeprefix("A ").split("|||")]
    return fields if line.startswith("A ") and len(fields) == 6 else []


def corrected(tokens: Sequence[str], annotations: Sequence[Annotation]) -> list[str]:
    """The words of the sentence after all edits of one annotator.

    Raises:
        ValueError: an edit lies outside the sentence or has no correction, or two overlap.
    """
    done: list[str] = []
    at = 0
    for annotation in sorted(annotations, key=lambda annotation: (annotation.start, annotation.end)):
        if not at <= annotation.start <= annotation.end <= len(tokens):
            raise ValueError(
                f"M2: an edit overlaps another or leaves the sentence; {annotation.start} {annotation.end}"
            )
        if annotation.correction is None:
            raise ValueError(f"M2: a mistake without its correction; {annotation.start} {annotation.end}")
        done += [*tokens[at : annotation.start], *annotation.correction.split()]
        at = annotation.end
    return [token for token in (*done, *tokens[at:]) if not token.isspace()]


def joined(tokens: Sequence[str]) -> str:
    """Tokens as they are written in text: `She does n't .` without the spaces before `n't` and the full stop."""
    text = ""
    quotes = 0
    glued = True  # to what comes next
    for word in tokens:
        quotes += word == _QUOTE
        ends = bool(_CLOSING.fullmatch(word)) or (word == _QUOTE and quotes % 2 == 0)
        if not (glued or ends or _glue(text[-1:], word[:1])):
            text += " "
        text += {"``": _QUOTE, "''": _QUOTE}.get(word, word)
        glued = word in _OPENING or (word == _QUOTE and not ends)
    return text


def _glue(left: str, right: str) -> bool:
    """Whether the characters are of writing without spaces between words."""
    return bool(_UNSPACED.fullmatch(left) and _UNSPACED.fullmatch(right))


def as_m2(before: str, after: str, *, kind: str = "unknown", annotator: str = "0") -> str:
    """The block of one annotator who makes `after` of `before`.

    Raises:
        ValueError: the format cannot hold a sentence (white space other than single spaces, `|`, `-NONE-`).
    """
    for sentence in (before, after):
        if not sentence or sentence != " ".join(sentence.split()) or "|" in sentence or "-NONE-" in sentence.split():
            raise ValueError(f"M2 holds words with single spaces between them, no `|` or `-NONE-`; {sentence[:80]!r}")
    kind = "unknown" if kind in ("noop", *_UNCORRECTED) else re.sub(r"[|\s]+", "_", kind) or "unknown"
    source, target = before.split(" "), after.split(" ")
    edits = [code for code in Levenshtein.opcodes(source, target) if code.tag != "equal"]
    spans = [
        f"{code.src_start} {code.src_end}|||{kind}|||{' '.join(target[code.dest_start : code.dest_end]) or '-NONE-'}"
        for code in edits
    ]
    annotations = (f"A {span}|||REQUIRED|||-NONE-|||{annotator}\n" for span in spans or ["-1 -1|||noop|||-NONE-"])
    return f"S {before}\n{''.join(annotations)}"
