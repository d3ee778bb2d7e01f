"""Which sentences are the same: hashes, and the normal form."""

import hashlib
import unicodedata


def hash64(text: str) -> int:
    """A 64-bit BLAKE2b hash, the same in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "big")


def normalise(sentence: str) -> str:
    """A sentence without what doesn't make it another one: case, spacing and Unicode form."""
    if not sentence.isascii():
        sentence = unicodedata.normalize("NFKC", sentence)
    return " ".join(sentence.casefold().split())
