"""Near-duplicates: sentences of nearly the same words (`words.words`).

MinHash finds sentences that may be alike; each find is checked by the Jaccard similarity of its sets of words, so that
nothing is joined by chance.
"""

import numpy as np

from fluency.edits.sentence import hash64
from fluency.pairs.groups import components

_ORDERS, _DEPTH = 10, 5  # sets are sorted ten times, each time by the last twelve bits of five minima
_MINIMA = _ORDERS * _DEPTH
_BLOCK = 100_000  # sets of words that are worked on at once
# Sentences that near-duplicates may join in a chain: this many, or this share of all. Longer ones drift anywhere.
_CHAIN, _CHAIN_SHARE = 100, 0.01


def near_duplicates(flat: np.ndarray, ends: np.ndarray, threshold: float) -> np.ndarray:
    """Which sentences are nearly the same: for each a number, which those have in common. Their order doesn't matter.

    Args:
        flat: hashes of all sentences' distinct words, of shape [words], uint32.
        ends: where each sentence's words end in `flat`, of shape [sentences].
        threshold: Jaccard similarity of two sentences' words from which on they are joined.

    Returns:
        Of shape [sentences].
    """
    if not len(ends):
        return np.array([], dtype=np.int64)
    starts = np.r_[0, ends[:-1]]
    identity = np.empty(len(ends), dtype=np.uint64)
    for start in range(0, len(ends), _BLOCK):  # by block, as all at once would take hundreds of megabytes
        its = np.r_[starts[start : start + _BLOCK], ends[start : start + _BLOCK][-1]]
        mixed = flat[its[0] : its[-1]] * _factor(0)
        mixed = (mixed ^ mixed >> 32) * _factor(1)
        identity[start : start + _BLOCK] = np.add.reduceat(mixed, its[:-1] - its[0])
    _, first, set_of = np.unique(identity, return_index=True, return_inverse=True)
    sizes = (ends - starts)[first]
    bounds = np.r_[0, np.cumsum(sizes)]
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(sizes), _BLOCK)]
    flat = np.concatenate([flat[_ranges(starts[first[block]], sizes[block])] for block in blocks])
    one, other = _candidates(flat, bounds, threshold)
    alike = _jaccard(flat, bounds, one, other) >= threshold
    one, other = one[alike], other[alike]
    joined = components(one, other, len(sizes))
    sentences = np.bincount(joined[set_of])[joined]  # of the component of each set
    kept = sentences[one] <= max(_CHAIN, _CHAIN_SHARE * len(ends))
    return components(one[kept], other[kept], len(sizes))[set_of]


def _candidates(flat: np.ndarray, bounds: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Sets of words that may be alike, of shape [candidates]: neighbours in some order of all sets by their minima.

    Of all minima the last bit is kept too: they differ in half of the share that two sets do not have in common.
    """
    keys = np.zeros((_ORDERS, len(bounds) - 1), dtype=np.uint64)
    sketch = np.zeros(len(bounds) - 1, dtype=np.uint64)
    for start in range(0, len(sketch), _BLOCK):
        its, at = bounds[start : start + _BLOCK + 1], slice(start, start + _BLOCK)
        for number in range(_MINIMA):
            hashes = flat[its[0] : its[-1]] * _factor(number) >> 32
            minima, key = np.minimum.reduceat(hashes, its[:-1] - its[0]), keys[number % _ORDERS]
            key[at] = key[at] << 12 | minima & 0xFFF
            sketch[at] = sketch[at] << 1 | minima & 1
    differing = (1 - threshold) / 2
    most = _MINIMA * differing + 3 * (_MINIMA * differing * (1 - differing)) ** 0.5  # three standard deviations
    found = [np.array([], dtype=np.uint64)]
    for key in keys:
        order = np.argsort(key, kind="stable")
        near = np.bitwise_count(sketch[order[1:]] ^ sketch[order[:-1]]) <= most
        ends = np.sort(np.stack([order[1:][near], order[:-1][near]]), axis=0).astype(np.uint64)
        found.append(ends[0] << 32 | ends[1])
    pairs = np.unique(np.concatenate(found))
    return (pairs >> 32).astype(np.int64), (pairs & 0xFFFFFFFF).astype(np.int64)


def _jaccard(flat: np.ndarray, bounds: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The Jaccard similarity of pairs of sets, of shape [pairs]."""
    sizes = np.diff(bounds)
    shared = np.empty(len(one), dtype=np.int64)
    for start in range(0, len(one), _BLOCK):
        sides = one[start : start + _BLOCK], other[start : start + _BLOCK]
        number = np.arange(len(sides[0]), dtype=np.uint64) << 32
        members = [np.repeat(number, sizes[side]) | flat[_ranges(bounds[side], sizes[side])] for side in sides]
        members = np.sort(np.concatenate(members))
        both = members[1:][members[1:] == members[:-1]] >> 32
        shared[start : start + _BLOCK] = np.bincount(both.astype(np.int64), minlength=len(number))
    return shared / np.maximum(sizes[one] + sizes[other] - shared, 1)


def _ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The numbers from each start on, as many as its size says, one range after the other."""
    return np.repeat(starts - np.r_[0, np.cumsum(sizes)[:-1]], sizes) + np.arange(sizes.sum())


def _factor(number: int) -> np.uint64:
    """An odd factor that spreads hashes."""
    return np.uint64(hash64(str(number)) | 1)
