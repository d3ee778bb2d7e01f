"""Rule-made mistakes: one edit that breaks a fluent English sentence. Pure and seeded.

Each rule yields every place where its mistake can be made. Rules prefer missing a place to making a change that
somebody could have written on purpose: noise in the labels costs more than a mistake the less.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import regex

from fluency.edits.edit import Edit
from fluency.pairs.vocabulary import (
    AGREEMENT,
    BEGIN_PHRASES,
    COLLECTIVES,
    COMMON_VERBS,
    CONFUSABLE,
    DROPPABLE,
    FORMS_OF_BE,
    FUNCTION_WORDS,
    LEFTOVERS,
    LOOSE_BEFORE,
    LY_KEPT,
    MODALS,
    NEIGHBOURS,
    NOT_PLAIN_S,
    OBJECTS,
    PHONETIC,
    PLURAL_CUES,
    PREPOSITIONS,
    QUANTITIES,
    SINGULAR_CUES,
    SUBJECTS,
    SWAPPED,
)

Rule = Callable[[str], Iterator[Edit]]

_WORD = regex.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")


def _words(sentence: str) -> list[tuple[int, str]]:
    return [(match.start(), match.group()) for match in _WORD.finditer(sentence)]


def _like(model: str, word: str) -> str:
    """`word` with the initial capital of `model`."""
    return word[0].upper() + word[1:] if model[0].isupper() and model != "I" else word


def _drop(sentence: str, at: int, word: str) -> Edit | None:
    """Drop `word` and the space after it, inside a sentence; None where that would leave no clean text."""
    end = at + len(word)
    return Edit(at, sentence[at : end + 1], "") if at and sentence[end : end + 1] == " " else None


def agreement(sentence: str) -> Iterator[Edit]:
    words = _words(sentence)
    for index, (at, word) in enumerate(words):
        # "if I were", "there is a cat and a dog" and "the team are" choose their form by other rules.
        earlier = {w.lower() for _, w in words[max(0, index - 3) : index]}
        if word.lower() in AGREEMENT and not earlier & ({"if", "though", "wish", "there"} | COLLECTIVES):
            yield Edit(at, word, _like(word, AGREEMENT[word.lower()]))
    for (_, subject), (at, verb) in pairwise(words):
        if verb in AGREEMENT:
            continue
        if subject.lower() in ("he", "she", "it") and regex.fullmatch(r"\w{2,}[^su]s", verb):
            yield Edit(at, verb, _base_form(verb))
        elif subject.lower() in ("i", "you", "we", "they") and verb in COMMON_VERBS:
            yield Edit(at, verb, _third_person(verb))


def _base_form(verb: str) -> str:
    """`go` of `goes`, `try` of `tries`, `make` of `makes`."""
    if verb.endswith("ies"):
        return verb[:-3] + "y"
    return verb[:-2] if regex.search("(ch|sh|ss|x|o)es$", verb) else verb[:-1]


def _third_person(verb: str) -> str:
    """`goes` of `go`, `tries` of `try`, `makes` of `make`."""
    verb = regex.sub("([^aeiou])y$", r"\1ie", verb)
    return verb + ("es" if regex.search("(ch|sh|ss|x|o)$", verb) else "s")


def article(sentence: str) -> Iterator[Edit]:
    words = _words(sentence)
    for (at, word), (_, following) in pairwise(words):
        if following.lower() in QUANTITIES:
            continue
        if word.lower() in ("a", "an"):
            yield Edit(at, word, _like(word, "an" if word.lower() == "a" else "a"))
            if edit := _drop(sentence, at, word):
                yield edit
        elif word == "the" and (following.endswith("est") or following in ("same", "first", "last", "only", "most")):
            if edit := _drop(sentence, at, word):
                yield edit
        elif word in ("my", "your", "his", "our", "their", "this", "these"):
            yield Edit(at, word, f"the {word}")


def preposition(sentence: str) -> Iterator[Edit]:
    words = _words(sentence)
    for (at, word), (_, following) in pairwise(words):
        for wrong in PREPOSITIONS.get(word, ()):
            if following.lower() not in FUNCTION_WORDS or following.lower() in BEGIN_PHRASES:
                yield Edit(at, word, wrong)


def number(sentence: str) -> Iterator[Edit]:
    words = _words(sentence)
    for (_, cue), (at, word) in pairwise(words):
        if len(word) < 4 or word.lower() in FUNCTION_WORDS or word.lower().endswith(("ing", "ed", "ly")):
            continue
        if cue.lower() in PLURAL_CUES and word.endswith("s") and not word.endswith(NOT_PLAIN_S):
            yield Edit(at, word, word[:-1])
        elif cue.lower() in SINGULAR_CUES and not word.endswith("s") and _ends_phrase(sentence, at + len(word)):
            yield Edit(at, word, regex.sub("([^aeiou])y$", r"\1ie", word) + "s")


def _ends_phrase(sentence: str, end: int) -> bool:
    """Whether the noun phrase ends here: punctuation or a function word follows."""
    rest = _WORD.match(sentence, end + 1)
    return not sentence[end : end + 1].isspace() or (rest is not None and rest.group().lower() in FUNCTION_WORDS)


def order(sentence: str) -> Iterator[Edit]:
    words = _words(sentence)
    for (at, word), (following_at, following) in pairwise(words):
        gap = sentence[at + len(word) : following_at]
        fixed = word in ("the", "a", "an", "of", "my", "your", "their", "every", "from", "with", "at")
        if gap == " " and fixed and following.islower() and following not in FUNCTION_WORDS and following[-2:] != "ly":
            yield Edit(at, f"{word} {following}", f"{following} {word}")


def tense(sentence: str) -> Iterator[Edit]:
    words = _words(sentence)
    for (_, cue), (at, word) in pairwise(words):
        if not word.islower() or word in FUNCTION_WORDS or len(word) < 4:
            continue
        if cue.lower() in MODALS and not word.endswith(("s", "ed", "ly", "ing", "er")):
            yield Edit(at, word, word + ("d" if word.endswith("e") else "ed"))
            yield Edit(at, word, word + "s")
            yield Edit(at, word, (word.removesuffix("e") if word[-2:] != "ee" else word) + "ing")
        elif cue.lower() in FORMS_OF_BE and regex.fullmatch(r"\w{3,}[^aeiou]ing", word):
            yield Edit(at, word, regex.sub(r"([^aeiousl])\1$", r"\1", word[:-3]))
        elif cue.lower() in ("has", "have", "had") and regex.fullmatch(r"\w{3,}[^aeiou]ed", word):
            yield Edit(at, word, word[:-2] + "ing")


def form(sentence: str) -> Iterator[Edit]:
    for at, word in _words(sentence):
        if word.endswith("ly") and len(word) > 5 and word.lower() not in LY_KEPT:
            yield Edit(at, word, regex.sub("([bp])ly$", r"\1le", regex.sub("ily$", "y", word)).removesuffix("ly"))


def pronoun(sentence: str) -> Iterator[Edit]:
    words = _words(sentence)
    for index, (at, word) in enumerate(words):
        following = words[index + 1][1].lower() if index + 1 < len(words) else ""
        if word[0].lower() + word[1:] in OBJECTS or word == "I":
            wrong = OBJECTS[word if word == "I" else word.lower()]
            if (following and following not in FUNCTION_WORDS) or following in AGREEMENT:
                yield Edit(at, word, wrong if at else wrong.capitalize())
        elif word in SUBJECTS and index and words[index - 1][1].lower() in ("to", "for", "with", "of", "from", "at"):
            yield Edit(at, word, SUBJECTS[word])


def missing(sentence: str) -> Iterator[Edit]:
    words = _words(sentence)
    for (_, previous), (at, word) in pairwise(words):
        if word in DROPPABLE:
            loose = previous.lower() in LOOSE_BEFORE
            if not loose and (edit := _drop(sentence, at, word)):
                yield edit


def doubling(sentence: str) -> Iterator[Edit]:
    for at, word in _words(sentence):
        if word in FUNCTION_WORDS - {"that", "had", "her", "is", "in", "on"}:
            end = at + len(word)
            yield Edit(end, "", f" {word}")


def confusion(sentence: str) -> Iterator[Edit]:
    for at, word in _words(sentence):
        if (wrong := CONFUSABLE.get(word.lower())) and (word.islower() or word.istitle()):
            yield Edit(at, word, _like(word, wrong))


def phonetic(sentence: str) -> Iterator[Edit]:
    for at, word in _words(sentence):
        if len(word) > 3 and word.islower():
            for pattern, sound in PHONETIC:
                if pattern.search(word):
                    yield Edit(at, word, pattern.sub(sound, word, count=1))


def unfinished(sentence: str) -> Iterator[Edit]:
    """A rewrite given up half-way: the old word beside the new one, or the last word gone."""
    words = _words(sentence)
    for at, word in words[:-1]:
        if leftover := LEFTOVERS.get(word):
            yield Edit(at + len(word), "", f" {leftover}")
    if len(words) > 3 and words[-2][1] in ("the", "a", "an", "my", "your", "our", "their", "every"):
        (_, before), (at, last) = words[-2:]
        if sentence[: at - 1].endswith(before) and sentence[at - 1] == " ":
            yield Edit(at - 1, f" {last}", "")


def spelling(sentence: str) -> Iterator[Edit]:
    for at, word in _words(sentence):
        if len(word) < 6 or not word.islower() or not word.isalpha():
            continue
        for index in range(2, len(word) - 2):
            first, second = word[index], word[index + 1]
            if first == second:  # a double letter made single
                typo = first
            elif first + second in SWAPPED:
                typo = second + first
            elif first in "aeiou" and second not in "aeiou":  # a vowel swallowed
                typo = second
            else:  # the key beside it
                typo = NEIGHBOURS[first] + second
            yield Edit(at, word, word[:index] + typo + word[index + 2 :])


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        agreement, article, preposition, number, order, tense, form, pronoun, missing, doubling, confusion, spelling,
        phonetic, unfinished,
    )
}  # fmt: skip


def corrupt(sentence: str, *, count: int, rates: Mapping[str, float], seed: str) -> list[tuple[str, Edit]]:
    """Up to `count` different mistakes in a fluent `sentence`, each of another kind, as (kind, edit).

    Kinds are drawn by `rates` among those that find a place; the draw depends on `seed` and the sentence alone, so
    it is the same in any order and in any process.

    Raises:
        KeyError: a rate names no rule of `RULES`.
    """
    rng = random.Random(f"{seed}|{sentence}")
    chances = {kind: rate for kind, rate in rates.items() if rate > 0}
    mistakes: list[tuple[str, Edit]] = []
    while chances and len(mistakes) < count:
        kind = rng.choices(list(chances), weights=list(chances.values()))[0]
        del chances[kind]
        if places := list(RULES[kind](sentence)):
            mistakes.append((kind, rng.choice(places)))
    return mistakes
