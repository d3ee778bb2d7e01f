"""Absurd edits: what a broken rewriter leaves of a sentence, and no writer would. Pure and seeded.

Each rule gives the sentence after, or None where it finds no place. All of them harm; their reverse is no repair to
learn from.
"""

import random
from collections.abc import Callable, Mapping

from fluency.edits.edit import Edit, spanning
from fluency.pairs.corruption import RULES

Rule = Callable[[str, str, random.Random], str | None]


def unrelated(sentence: str, other: str, rng: random.Random) -> str | None:
    """Another sentence in its place, or the end of another in the place of its own."""
    words, its = sentence.split(), other.split()
    if rng.random() < 0.3 and len(words) > 5 < len(its):
        return " ".join(words[: len(words) // 2] + its[len(its) // 2 :])
    return other


def truncated(sentence: str, _: str, rng: random.Random) -> str | None:
    """Cut off in the middle, on a word that cannot end a sentence."""
    words = sentence.split()
    ends = [at for at in range(2, len(words)) if words[at - 1] in _OPEN]
    return " ".join(words[: rng.choice(ends)]) if ends else None


def fragment(sentence: str, _: str, rng: random.Random) -> str | None:
    """Two to four words of the middle."""
    words = sentence.split()
    if len(words) < 6:
        return None
    length = rng.randint(2, 4)
    start = rng.randint(1, len(words) - length)
    return " ".join(words[start : start + length])


def shuffled(sentence: str, _: str, rng: random.Random) -> str | None:
    """Its words, or some of them, in another order."""
    words = sentence.split()
    if len(words) < 5:
        return None
    start = rng.choice((0, rng.randint(0, len(words) - 4)))
    end = len(words) if start == 0 else start + 4
    middle = words[start:end]
    rng.shuffle(middle)
    return " ".join(words[:start] + middle + words[end:])


def repeated(sentence: str, _: str, rng: random.Random) -> str | None:
    """A word or a phrase twice or more often, or the sentence twice."""
    words = sentence.split()
    start = rng.randrange(len(words))
    phrase = words[start : start + rng.randint(1, 3)]
    times = rng.randint(2, 3) if len(phrase) == 1 else rng.randint(1, 2)
    return " ".join(words * 2 if rng.random() < 0.2 else words[:start] + phrase * times + words[start:])


def several(sentence: str, _: str, rng: random.Random) -> str | None:
    """Two or three rule-made mistakes at once."""
    wanted, found = rng.randint(2, 3), sentence
    for kind in rng.sample(sorted(RULES), len(RULES)):
        if wanted and (places := list(RULES[kind](found))):
            found, wanted = rng.choice(places).apply(found), wanted - 1
    return None if wanted else found


# Words after which a sentence goes on.
_OPEN = frozenset(
    "a an and the of to for from with in on at by my your his her its our their that which who this these is are was "
    "were has have had will would can could should must not very so than as because if when while or but".split()
)

DISTORTIONS: dict[str, Rule] = {
    rule.__name__: rule for rule in (unrelated, truncated, fragment, shuffled, repeated, several)
}


def distort(sentence: str, other: str, *, rates: Mapping[str, float], rng: random.Random) -> tuple[str, Edit] | None:
    """An absurd edit of a fluent `sentence`, as (kind, edit); None where the kind that is drawn finds no place.

    Args:
        other: a sentence that may stand in its place.

    Raises:
        KeyError: a rate names no rule of `DISTORTIONS`.
    """
    chances = {kind: rate for kind, rate in rates.items() if rate > 0}
    kind = rng.choices(list(chances), weights=list(chances.values()))[0]
    after = DISTORTIONS[kind](sentence, other, rng)
    if after is None or after.split() == sentence.split():  # what differs in its spaces alone is not absurd
        return None
    return kind, spanning(sentence, after)
