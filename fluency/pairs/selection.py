"""Which rows and pairs are not used: corrections that annotators dispute, label conflicts, duplicates, and limits."""

import numpy as np

from fluency.corpus.rows import SPLITS
from fluency.edits.sentence import hash64
from fluency.pairs.audit import Changes, Facts, Repeats, Votes
from fluency.pairs.groups import occurrence
from fluency.pairs.params import PairsParams

_DISPUTED = "annotators disagree; {} leave the sentence as it is (pairs.disagreement is {})"
_CONFLICT = "label conflict; the same edit has the other label too (pairs.conflicts is {})"
_DUPLICATE = "duplicate; an earlier row has the same edit and label (pairs.duplicates is drop)"


def disputed(votes: Votes, policy: str) -> np.ndarray:
    """Whether a correction is not used for the annotators who leave the sentence as it is. Of shape [rows].

    Args:
        policy: `pairs.disagreement`: it is used where `any` annotator corrects the sentence, the `majority`, or `all`.
    """
    most = {"any": votes.leaving, "majority": np.maximum(votes.correcting - 1, 0), "all": 0}[policy]
    return votes.leaving > most


def unused(
    facts: Facts, split: np.ndarray, changes: Changes, votes: Votes, params: PairsParams
) -> dict[str, np.ndarray]:
    """Numbers of the raw rows that are not used, by reason; each has the first that holds.

    Args:
        split: of each raw row, a place in `SPLITS`. Of shape [raw rows].
    """
    scope, found, gone = split[facts.row].astype(np.int64), {}, len(SPLITS)

    def leave_out(reason: str, rows: np.ndarray) -> None:
        found[reason] = facts.row[rows & (scope != gone)]
        scope[rows] = gone

    who = "some" if params.disagreement == "all" else "as many or more"
    leave_out(_DISPUTED.format(who, params.disagreement), disputed(votes, params.disagreement))
    if params.conflicts != "keep":
        repeats = Repeats.of(facts, scope, changes)
        rows = repeats.outvoted if params.conflicts == "majority" else repeats.conflicting
        leave_out(_CONFLICT.format(params.conflicts), np.isin(facts.row, rows))
    if params.duplicates == "drop":
        label = changes.label[np.searchsorted(changes.row, facts.row)]  # of the row's first pair
        leave_out(_DUPLICATE, occurrence(facts.change * np.uint64(8) + (2 * scope + label).astype(np.uint64)) > 0)
    return found


def drawn(changes: Changes, number: np.ndarray, split: np.ndarray, params: PairsParams) -> np.ndarray:
    """Which pairs are in their split: all, or as many as its limit says. Drawn by seed; an edit keeps its reverse.

    Args:
        number: of each pair, how many like it come before. Of shape [pairs].
        split: of each pair, a place in `SPLITS` or -1. Of shape [pairs].
    """
    chosen = split >= 0
    edits = np.minimum(changes.change, changes.reverse)
    limits = (params.max_train_samples, params.max_eval_samples, params.max_predict_samples)
    for code, limit in enumerate(limits):
        members = np.flatnonzero(split == code)
        if limit is not None and len(members) > limit:
            chosen[members] = _drawn_edits(edits[members], number[members], limit, params.seed)
    return chosen


def _drawn_edits(edits: np.ndarray, number: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Which pairs are drawn: `limit` at most, of an edit and its number all or none. Of shape [pairs]."""
    names = np.stack([edits, number.astype(np.uint64)], axis=1)
    names, unit, sizes = np.unique(names, axis=0, return_inverse=True, return_counts=True)
    rank = np.fromiter((hash64(f"{seed}|{edit}|{n}") for edit, n in names.tolist()), np.uint64, len(names))
    order = np.argsort(rank, kind="stable")
    taken = np.zeros(len(names), dtype=bool)
    taken[order] = np.cumsum(sizes[order]) <= limit
    room = limit - sizes[taken].sum()
    for one in order[~taken[order]]:  # smaller ones fill what is left
        if room == 0:
            break
        if sizes[one] <= room:
            taken[one], room = True, room - sizes[one]
    return taken[unit]
