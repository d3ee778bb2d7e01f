"""Which rewrites are worth a judge's label: single edits that leak nothing, and of which the model is least sure."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.special import logit
from tqdm import tqdm

from fluency.corpus.rows import category
from fluency.edits.edit import extract
from fluency.edits.forms import AnyEdit, CannotScore, Change
from fluency.edits.sentence import hash64, normalise
from fluency.pairs.groups import groups
from fluency.pairs.near import near_duplicates
from fluency.pairs.words import words
from fluency.scorer.inputs import change_or_error
from fluency.scorer.outcome import score_of
from fluency.scorer.scorer import FluencyScorer

_BLOCK = 500  # sentences that are held against all others at once
_SUREST = 1e-12  # what a score of 0 or 1 is taken for: its log-odds would be infinite


@dataclass(frozen=True)
class Selection:
    """The edits to label, the least sure first.

    Attributes:
        changes: the edits.
        scores: the model's, of shape [changes].
        aside: how many rewrites are none of them, by reason.
    """

    changes: list[Change]
    scores: np.ndarray
    aside: Counter[str]


def select(
    rewrites: Iterable[AnyEdit | CannotScore],
    scorer: FluencyScorer,
    *,
    trained: Collection[Change],
    held_out: Sequence[Change],
    near: float | None,
    count: int,
) -> Selection:
    """The single edits that are new, leak nothing and are within support, and of which the model is least sure.

    Beyond support no score is ever accepted, so that a label could not change what becomes of such an edit.

    Args:
        trained: the edits of the training pairs.
        held_out: those that are evaluated on.
        near: as `pairs.near_duplicates`.
        count: how many at the most.
    """
    changes, aside = single_edits(rewrites)
    new = [change for change in changes if change not in trained]
    aside["trained on already"] += len(changes) - len(new)
    kept, group = apart(new, held_out, near)
    aside["like what is evaluated on"] += len(new) - len(kept)
    outcomes = scorer.score_stream([new[row] for row in kept], ask_outside=False)
    scores = np.full(len(kept), np.nan)
    for row, outcome in enumerate(tqdm(outcomes, "scores", len(kept), unit="edit", disable=None)):
        scores[row] = score_of(outcome)
        if np.isnan(scores[row]):
            aside[category(str(outcome))] += 1
    scored = np.flatnonzero(~np.isnan(scores))
    picked = scored[least_sure(scores[scored], scorer.calibration.threshold, group[scored], count)]
    aside["surer, or like one that is picked"] += len(scored) - len(picked)
    return Selection([new[row] for row in kept[picked]], scores[picked], +aside)


def single_edits(rewrites: Iterable[AnyEdit | CannotScore]) -> tuple[list[Change], Counter[str]]:
    """The rewrites that are one edit, each once and in its normal form, and how many others there are, by reason."""
    changes: dict[Change, None] = {}
    aside: Counter[str] = Counter()
    for rewrite in rewrites:
        change = change_or_error(rewrite)
        if isinstance(change, CannotScore):
            aside[category(str(change))] += 1
        elif (edits := len(extract(*change))) != 1:
            aside["several edits" if edits else "no edit"] += 1
        else:
            aside["the same as another"] += change in changes
            changes[change] = None
    return list(changes), +aside


def apart(changes: Sequence[Change], held_out: Sequence[Change], near: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Which changes have no sentence of `held_out`, nor nearly one, and which of those are alike.

    Changes are alike by the rule by which pairs are split; but here both sentences count, as no label is known.

    Args:
        near: as `pairs.near_duplicates`.

    Returns:
        The places of those changes, and the group of each, which those have in common that share a sentence or have
        nearly the same. Both of shape [kept].
    """
    sentences = [sentence for change in (*changes, *held_out) for sentence in change]
    ours = 2 * len(changes)
    keys = np.array([hash64(normalise(sentence)) for sentence in sentences], dtype=np.uint64)
    sets = None if near is None else [[hash64(word) >> 32 for word in words(sentence)] for sentence in sentences]
    leaking = np.isin(keys[:ours], keys[ours:])
    if sets is not None:
        leaking |= _like_any(sets[:ours], sets[ours:], near)
    kept = np.flatnonzero(~leaking.reshape(-1, 2).any(axis=1))
    its = np.stack([2 * kept, 2 * kept + 1], axis=1).ravel()
    keys, rows = keys[its], np.repeat(np.arange(len(kept)), 2)
    if sets is not None:
        alike = near_duplicates(*_flat([sets[place] for place in its]), near)
        keys, rows = np.concatenate([keys, alike.astype(np.uint64)]), np.concatenate([rows, rows])
    return kept, groups(keys, rows, len(kept))


def _like_any(sets: Sequence[list[int]], others: Sequence[list[int]], near: float) -> np.ndarray:
    """Which sets of words have a Jaccard similarity of `near` or more with one of `others`, of shape [sets], bool.

    Each is held against each: `groups` joins no long chains, and a policy writes a sentence in hundreds of ways.
    """
    flat, ends = _flat([*sets, *others])
    number, column = np.unique(flat, return_inverse=True)
    held = csr_array((np.ones(len(flat), dtype=np.int64), column, np.r_[0, ends]), shape=(len(ends), len(number)))
    sizes, ours = np.diff(ends, prepend=0), len(sets)
    theirs = held[ours:].T.tocsr()
    like = np.zeros(ours, dtype=bool)
    for start in range(0, ours, _BLOCK):
        shared = (held[start : min(start + _BLOCK, ours)] @ theirs).tocoo()
        row, other = shared.coords
        alike = shared.data / (sizes[start + row] + sizes[ours + other] - shared.data) >= near
        like[start + row[alike]] = True
    return like


def _flat(sets: Sequence[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """The words of all sets, of shape [words], uint32, and where each set's end, of shape [sets]."""
    ends = np.cumsum([len(its) for its in sets], dtype=np.int64)
    return np.array([word for its in sets for word in its], dtype=np.uint32), ends


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
    log_odds, turn = (logit(np.clip(its, _SUREST, 1 - _SUREST)) for its in (scores, threshold))
    order = np.argsort(np.abs(log_odds - turn), kind="stable")
    _, first = np.unique(group[order], return_index=True)
    return order[np.sort(first)][:count]
