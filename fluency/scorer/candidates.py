"""Which rewrites are worth a judge's label: single edits that leak nothing, and of which the model is least sure."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csr_array

from fluency.corpus.rows import category
from fluency.edits.edit import extract
from fluency.edits.forms import AnyEdit, CannotScore, Change
from fluency.edits.sentence import hash64, normalise
from fluency.pairs.groups import groups
from fluency.pairs.near import near_duplicates
from fluency.pairs.words import words
from fluency.scorer.inputs import change_of

_BLOCK = 500  # sentences that are held against all others at once
_SUREST = 1e-12  # what a score of 0 or 1 is taken for: its log-odds would be infinite


def single_edits(rewrites: Iterable[AnyEdit | CannotScore]) -> tuple[list[Change], Counter]:
    """The rewrites that are one edit, each once and in its normal form, and how many others there are, by reason."""
    changes: dict[Change, None] = {}
    aside: Counter = Counter()
    for rewrite in rewrites:
        try:
            change = _single(rewrite)
        except CannotScore as error:
            aside[category(str(error))] += 1
        else:
            aside["the same as another"] += change in changes
            changes[change] = None
    return list(changes), +aside


def _single(rewrite: AnyEdit | CannotScore) -> Change:
    if isinstance(rewrite, CannotScore):
        raise rewrite
    change = change_of(rewrite)
    if (count := len(extract(*change))) != 1:
        raise CannotScore("several edits" if count else "no edit")
    return change


def groups_of(changes: Sequence[Change], near: float | None) -> np.ndarray:
    """The group of each change, of shape [changes]: those of a group share a sentence, or have nearly the same.

    It is the rule by which the pairs are split; but here both sentences of a change count, as its label is not known.

    Args:
        near: as `pairs.near_duplicates`.
    """
    sentences = [sentence for change in changes for sentence in change]
    keys = np.array([hash64(normalise(sentence)) for sentence in sentences], dtype=np.uint64)
    rows = np.repeat(np.arange(len(changes)), 2)
    if near is not None:
        lists = [[hash64(word) >> 32 for word in words(sentence)] for sentence in sentences]
        flat = np.array([word for its in lists for word in its], dtype=np.uint32)
        alike = near_duplicates(flat, np.cumsum([len(its) for its in lists]), near)
        keys, rows = np.concatenate([keys, alike.astype(np.uint64)]), np.concatenate([rows, rows])
    return groups(keys, rows, len(changes))


def like_any(changes: Sequence[Change], others: Sequence[Change], near: float | None) -> np.ndarray:
    """Which changes have a sentence of nearly the same words as one of `others`, of shape [changes], bool.

    Each is held against each: `groups_of` joins no long chains, and a policy writes a sentence in hundreds of ways.

    Args:
        near: as `pairs.near_duplicates`.
    """
    ours = 2 * len(changes)
    like = np.zeros(ours, dtype=bool)
    if near is not None:
        sets = [words(sentence) for change in (*changes, *others) for sentence in change]
        number: dict[str, int] = {}
        columns = [number.setdefault(word, len(number)) for its in sets for word in its]
        sizes = np.array([len(its) for its in sets], dtype=np.int64)
        ends = np.r_[0, np.cumsum(sizes)]
        held = csr_array((np.ones(len(columns), dtype=np.int64), columns, ends), shape=(len(sets), len(number)))
        theirs = held[ours:].T.tocsr()
        for start in range(0, ours, _BLOCK):
            shared = (held[start : min(start + _BLOCK, ours)] @ theirs).tocoo()
            row, other = shared.coords
            alike = shared.data / (sizes[start + row] + sizes[ours + other] - shared.data) >= near  # Jaccard
            like[start + row[alike]] = True
    return like.reshape(-1, 2).any(axis=1)


def least_sure(scores: np.ndarray, threshold: float, group: np.ndarray, count: int) -> np.ndarray:
    """Which edits to label: those whose log-odds are nearest to the operating point's, one of each group.

    Uncertainty sampling (Lewis and Gale 1994), at the threshold where the decision turns.

    Args:
        scores: of shape [edits].
        group: of each edit, of shape [edits].
        count: how many at the most.

    Returns:
        Their places, the least sure first. Of shape [chosen].
    """
    distance = np.abs(_log_odds(scores) - _log_odds(np.array(threshold)))
    order = np.argsort(distance, kind="stable")
    _, first = np.unique(group[order], return_index=True)
    return order[np.sort(first)][:count]


def _log_odds(scores: np.ndarray) -> np.ndarray:
    inside = np.clip(scores, _SUREST, 1 - _SUREST)
    return np.log(inside / (1 - inside))
