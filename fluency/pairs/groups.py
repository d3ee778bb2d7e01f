"""Rows that share a sentence, by 64-bit hashes of sentences.

A million rows cost some ten megabytes this way. Two different sentences of a corpus of ten million are taken for one
with a chance of about 3 in a million (the birthday bound of 2^64).
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def groups(keys: np.ndarray, rows: np.ndarray, count: int, near: np.ndarray | None = None) -> np.ndarray:
    """The group of each row: connected components over shared sentences.

    Args:
        keys: hashes of sentences, of shape [occurrences], uint64.
        rows: the row that each occurrence is in, of shape [occurrences].
        count: how many rows there are.
        near: for each row a number that near-duplicates have in common, of shape [rows].

    Returns:
        For each row the smallest hash in its component (the order of rows doesn't matter), of shape [count], uint64.
    """
    ends = _equal(keys, rows)
    if near is not None:
        ends = np.concatenate([ends, _equal(near, np.arange(count))], axis=1)
    component = components(*ends, count)
    names = np.full(count, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(names, component[rows], keys)
    return names[component]


def components(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    """The number of each node's connected component, of shape [count].

    Args:
        one, other: the ends of the edges, of shape [edges].
    """
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _equal(keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows that have a key in common, each with the next, of shape [2, edges]."""
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    return np.stack([rows[order[same]], rows[order[same + 1]]])


def seen_in(keys: np.ndarray, rows: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """The flags (one bit a split) of all rows that share a sentence with each row, its own included.

    Args:
        keys, rows: as for `groups`.
        flags: of each row, of shape [rows], uint8.

    Returns:
        Of shape [rows], uint8.
    """
    order, starts, sizes = runs(keys)
    of_key = np.bitwise_or.reduceat(flags[rows[order]], starts)
    seen = flags.copy()
    np.bitwise_or.at(seen, rows[order], np.repeat(of_key, sizes))
    return seen


def occurrence(keys: np.ndarray) -> np.ndarray:
    """For each key how many equal ones come before it: 0 for the first. Of the shape of `keys`."""
    order, starts, sizes = runs(keys)
    numbers = np.empty(len(keys), dtype=np.int64)
    numbers[order] = np.arange(len(keys)) - np.repeat(starts, sizes)
    return numbers


def runs(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An order that has equal keys side by side; where each run of them starts in it, and how long it is."""
    order = np.argsort(keys, kind="stable")
    _, starts, sizes = np.unique(keys[order], return_index=True, return_counts=True)
    return order, starts, sizes
