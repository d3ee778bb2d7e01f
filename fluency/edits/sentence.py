"""Which sentences are the same: hashes, and normal forms."""

import hashlib
import unicodedata

import regex

# What no reader sees: zero-width characters, soft hyphens, variation selectors, control characters.
_INVISIBLE = regex.compile(r"[[\p{Default_Ignorable_Code_Point}\p{Cc}]--\s]", regex.V1)


def hash64(text: str) -> int:
    """A 64-bit BLAKE2b hash, the same in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "big")


def normalise(sentence: str) -> str:
    """A sentence without what doesn't make it another one: case, spacing and Unicode form."""
    if not sentence.isascii():
        sentence = unicodedata.normalize("NFKC", sentence)
    return " ".join(sentence.casefold().split())


def visible(text: str) -> str:
    """The normal form of a text: what a reader sees of it, with one blank where it has any white space.

    Example:
        >>> visible("She\\u200b goes\\nhome. ")
        'She goes home.'
    """
    text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)  # last: what was between a letter and its accent is gone
    return " ".join(text.split())
