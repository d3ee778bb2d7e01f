"""What metrics/*.json hold: every figure with its interval, for all pairs, and those of each part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fluency.evaluation.intervals import interval, resampled
from fluency.evaluation.params import EvaluateParams
from fluency.metrics import expected_calibration_error, points

Pairs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs and what one judge, a model or another, says of them.

    Attributes:
        pairs: rows as data/pairs/ has them.
        scores: probabilities of label 1, of shape [pairs].
        threshold: the operating point; a pair that scores at or above it is accepted.
    """

    pairs: Pairs
    scores: np.ndarray
    threshold: float

    @property
    def labels(self) -> np.ndarray:
        """Of shape [pairs], 0 or 1."""
        return np.array([pair["label"] for pair in self.pairs], dtype=np.int64)

    @property
    def accepted(self) -> np.ndarray:
        """The decisions, of shape [pairs], bool."""
        return self.scores >= self.threshold

    def at(self, rows: Sequence[int]) -> "ScoredPairs":
        """The pairs in those rows, in that order."""
        return ScoredPairs([self.pairs[row] for row in rows], self.scores[rows], self.threshold)

    def by(self, names: np.ndarray) -> dict[str, "ScoredPairs"]:
        """The pairs of each name; `names` is of shape [pairs]."""
        return {str(name): self.at(np.flatnonzero(names == name)) for name in np.unique(names)}

    def points(self) -> dict[str, float]:
        """The figures, by dotted names."""
        return points(self.scores, self.labels, self.accepted)

    def resampled(self, params: EvaluateParams, *, ranking: bool = True) -> dict[str, np.ndarray]:
        """The figures in each bootstrap resample, by dotted names, of shape [resamples]."""
        return resampled(
            self.scores,
            self.labels,
            np.array([pair["group"] for pair in self.pairs]),
            accepted=self.accepted,
            resamples=params.resamples,
            seed=params.seed,
            ranking=ranking,
        )


def figures(scored: ScoredPairs, params: EvaluateParams, *, uncalibrated: np.ndarray | None = None) -> dict[str, Any]:
    """All figures, each beside its 95 % interval (`NAME_low`, `NAME_high`), and those of each part.

    Args:
        uncalibrated: the scores before calibration, where there is one, of shape [pairs]; gives `ece_uncalibrated`.
    """
    draws = scored.resampled(params)
    flat: dict[str, Any] = {}
    for name, value in scored.points().items():
        flat[name] = value
        flat[f"{name}_low"], flat[f"{name}_high"] = interval(draws[name])
    if uncalibrated is not None:
        flat["ece_uncalibrated"] = expected_calibration_error(uncalibrated, scored.labels)
    parts = np.array([pair["part"] for pair in scored.pairs])
    return {
        **_described(scored, flat),
        "parts": {part: _described(inside, inside.points()) for part, inside in scored.by(parts).items()},
    }


def _described(scored: ScoredPairs, flat: Mapping[str, Any]) -> dict[str, Any]:
    tree = {**nested(flat), "examples": len(scored.pairs), "positives": int(scored.labels.sum())}
    tree["operating_point"] = {"threshold": scored.threshold, **tree["operating_point"]}
    return tree


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`; only the first dot divides."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        first, dot, rest = name.partition(".")
        if dot:
            tree.setdefault(first, {})[rest] = value
        else:
            tree[first] = value
    return tree
