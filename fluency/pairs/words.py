"""The words by which sentences are told to be nearly the same, whatever names, numbers and case they have. Pure."""

import re
import unicodedata

from fluency.edits.edit import tokenize
from fluency.pairs.vocabulary import FUNCTION_WORDS

_WORDS, _INSIDE = re.compile(r"\w+", re.ASCII), re.compile(r"['’\-]")


def words(sentence: str) -> set[str]:
    """The distinct words of a sentence in small letters; names and numbers are all `0`, unless hardly a word is left.

    A name is a word with a capital, where no more words have one than have none; in titles most have one.
    """
    if sentence.isascii():
        found = _WORDS.findall(sentence)
    else:
        tokens = [token for token in tokenize(unicodedata.normalize("NFKC", sentence)) if token[0].isalnum()]
        found = [part for token in tokens for part in _INSIDE.split(token) if part]
    distinct = set(found)
    special = {word for word in distinct if not word.islower()}
    capital = {word for word in special if word[0].isupper() and word != "I"}
    plain = distinct - special
    few = len(capital.difference(found[:1])) <= len(plain)
    masked = plain | {
        "0" if word[0].isdigit() or (few and word in capital and word.casefold() not in FUNCTION_WORDS)
        else word.casefold()
        for word in special
    }  # fmt: skip
    return masked if len(masked) > 2 else {word.casefold() for word in found} or {sentence}
