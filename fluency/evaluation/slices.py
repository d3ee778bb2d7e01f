"""Where a judge fails: the figures of the operating point by corpus, part, edit type, mistake, length and leakage."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fluency.edits.sentence import hash64, normalise
from fluency.evaluation.intervals import interval
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.scored_pairs import ScoredPairs

COLUMNS = (
    "slice", "value", "examples", "positives", "precision", "precision_low", "precision_high",
    "recall", "recall_low", "recall_high", "average_precision",
)  # fmt: skip
_WORDS = (10, 20, 30)  # of the sentence before the edit; the last length is open


def slices(scored: ScoredPairs, seen: set[int], params: EvaluateParams) -> list[dict[str, Any]]:
    """One row, with the keys `COLUMNS`, for each value of each slice.

    Precision and recall, with 95 % intervals, are those at the operating point.

    Args:
        seen: the sentences that the model was trained on (`sentence_keys`).
    """
    rows = []
    for name, values in _values(scored, seen).items():
        for value, inside in scored.by(values).items():
            draws = inside.resampled(params, ranking=False)
            point = inside.points()
            row = {"slice": name, "value": value, "examples": len(inside.pairs), "positives": int(inside.labels.sum())}
            for figure in ("precision", "recall"):
                row[figure] = point[f"operating_point.{figure}"]
                row[f"{figure}_low"], row[f"{figure}_high"] = interval(draws[f"operating_point.{figure}"])
            rows.append({**row, "average_precision": point["average_precision"]})
    return rows


def sentence_keys(sentences: Iterable[str]) -> set[int]:
    """Hashes of sentences, the same where only case, spacing and Unicode form differ."""
    return {hash64(normalise(sentence)) for sentence in sentences}


def _values(scored: ScoredPairs, seen: set[int]) -> Mapping[str, np.ndarray]:
    pairs = scored.pairs
    columns = ("corpus", "part", "edit_type", "kind")
    values = {name.replace("_", " "): np.array([pair[name] for pair in pairs]) for name in columns}
    keys = [{hash64(normalise(pair[side])) for side in ("before", "after")} for pair in pairs]
    values["length"] = np.array([_length(pair["before"]) for pair in pairs])
    values["in training"] = np.array(["no sentence" if seen.isdisjoint(its) else "a sentence" for its in keys])
    return values


def _length(sentence: str) -> str:
    words = len(sentence.split())
    bounds = [0, *_WORDS]
    place = int(np.searchsorted(_WORDS, words))
    return f"{bounds[place] + 1:02}-{_WORDS[place]} words" if place < len(_WORDS) else f"over {_WORDS[-1]} words"
