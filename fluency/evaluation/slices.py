"""Where a judge fails: the decisions by corpus, part, effect, edit type, mistake, length and leakage."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fluency.edits.sentence import hash64, normalise
from fluency.evaluation.proportions import effective_size, holm, mid_p_interval, p_of_fewer
from fluency.evaluation.scored_pairs import ScoredPairs

COLUMNS = (
    "slice", "value", "examples", "positives", "accepted_right", "accepted_wrong",
    "precision", "precision_low", "precision_high", "precision_p", "recall", "recall_low", "recall_high", "recall_p",
)  # fmt: skip
_WORDS = (10, 20, 30)  # of the sentence before the edit; the last length is open


def slices(scored: ScoredPairs, seen: set[int]) -> list[dict[str, Any]]:
    """One row, with the keys `COLUMNS`, for each value of each slice.

    Precision and recall are those of the decisions, with 95 % intervals. `FIGURE_p` is the chance of so low a
    figure in a slice where it is in truth that of all pairs, corrected for the number of slices (Holm 1979). What says
    nothing is None: precision where only one label occurs, recall where none is fluent, each where it has no pairs.

    Args:
        seen: the sentences that the model was trained on (`sentence_keys`).
    """
    whole = {name: float(hits.sum() / max(trials.sum(), 1)) for name, (hits, trials) in scored.shares().items()}
    rows = [
        _row(name, value, inside, whole)
        for name, values in _values(scored, seen).items()
        for value, inside in scored.by(values).items()
    ]
    for figure in whole:
        told = [row for row in rows if row[figure] is not None]
        corrected = holm(np.array([row[f"{figure}_p"] for row in told]))
        for row, chance in zip(told, corrected.tolist(), strict=True):
            row[f"{figure}_p"] = chance
    return rows


def _row(name: str, value: str, inside: ScoredPairs, whole: Mapping[str, float]) -> dict[str, Any]:
    row = dict.fromkeys(COLUMNS) | {"slice": name, "value": value, "examples": len(inside.pairs)}
    shares, positives = inside.shares(), int(inside.labels.sum())
    right, accepted = (int(its.sum()) for its in shares["precision"])
    row |= {"positives": positives, "accepted_right": right, "accepted_wrong": accepted - right}
    both_labels = 0 < positives < len(inside.pairs)
    for figure, (hits, trials) in shares.items():
        if trials.any() and (figure == "recall" or both_labels):
            row[figure] = float(hits.sum() / trials.sum())
            row[f"{figure}_low"], row[f"{figure}_high"] = mid_p_interval(hits, trials)
            row[f"{figure}_p"] = p_of_fewer(row[figure], effective_size(hits, trials), whole[figure])
    return row


def sentence_keys(sentences: Iterable[str]) -> set[int]:
    """Hashes of sentences, the same where only case, spacing and Unicode form differ."""
    return {hash64(normalise(sentence)) for sentence in sentences}


def _values(scored: ScoredPairs, seen: set[int]) -> Mapping[str, np.ndarray]:
    pairs = scored.pairs
    columns = ("corpus", "part", "edit_type", "kind")
    values = {name.replace("_", " "): np.array([pair[name] for pair in pairs]) for name in columns}
    keys = [{hash64(normalise(pair[side])) for side in ("before", "after")} for pair in pairs]
    values["effect"] = _effects(scored)
    values["length"] = np.array([_length(pair["before"]) for pair in pairs])
    values["in training"] = np.array(["no sentence" if seen.isdisjoint(its) else "a sentence" for its in keys])
    return values


def _effects(scored: ScoredPairs) -> np.ndarray:
    """Whether each edit harms, improves or keeps fluency; the label of its reverse, where there is one, tells."""
    labels = {(pair["before"], pair["after"]): pair["label"] for pair in scored.pairs}
    names = {0: "improves", 1: "keeps", None: "improves or keeps"}
    return np.array(
        [names[labels.get((pair["after"], pair["before"]))] if pair["label"] else "harms" for pair in scored.pairs]
    )


def _length(sentence: str) -> str:
    words = len(sentence.split())
    bounds = [0, *_WORDS]
    place = int(np.searchsorted(_WORDS, words))
    return f"{bounds[place] + 1:02}-{_WORDS[place]} words" if place < len(_WORDS) else f"over {_WORDS[-1]} words"
