"""What metrics/*.json hold: every figure with its interval, for all pairs, and those of each part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fluency.evaluation.intervals import NO_INTERVAL, interval_of_share, resampled
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.proportions import mid_p_interval
from fluency.metrics import expected_calibration_error, negative_log_likelihood, point_metrics, points
from fluency.utils.errors import UserError

Pairs = Sequence[Mapping[str, Any]]
_AT_POINT = "operating_point."


def uninformative(positives: int, examples: int) -> set[str]:
    """The names of figures that say nothing of so many pairs: where only one label occurs, they are 0 or 1 anyhow."""
    names = {"precision", "f1", "average_precision", "roc_auc", "precision_at_recall"}
    return (set() if 0 < positives < examples else names) | (set() if positives else {"recall"})


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs and what one judge, a model or another, says of them.

    Attributes:
        pairs: rows as data/pairs/ has them.
        scores: probabilities of label 1, of shape [pairs].
        threshold: the operating point; a pair that scores at or above it is accepted. None where a judge has none.
        decisions: of shape [pairs], bool, where the judge gives them itself; they need not follow from its scores.

    Raises:
        UserError: a score is no number.
    """

    pairs: Pairs
    scores: np.ndarray
    threshold: float | None
    decisions: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(broken := np.flatnonzero(~np.isfinite(self.scores))):
            raise UserError(
                f"{len(broken)} of {len(self.scores)} pairs have a score that is no number, the first in row "
                f"{broken[0]}; train the model again"
            )

    @property
    def labels(self) -> np.ndarray:
        """Of shape [pairs], 0 or 1."""
        return np.array([pair["label"] for pair in self.pairs], dtype=np.int64)

    @property
    def accepted(self) -> np.ndarray:
        """The decisions, of shape [pairs], bool."""
        return self.scores >= self.threshold if self.decisions is None else self.decisions

    def at(self, rows: Sequence[int]) -> "ScoredPairs":
        """The pairs in those rows, in that order."""
        decisions = None if self.decisions is None else self.decisions[rows]
        return ScoredPairs([self.pairs[row] for row in rows], self.scores[rows], self.threshold, decisions)

    def by(self, names: np.ndarray) -> dict[str, "ScoredPairs"]:
        """The pairs of each name; `names` is of shape [pairs]."""
        return {str(name): self.at(np.flatnonzero(names == name)) for name in np.unique(names)}

    def shares(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What is right, and of how many, in each group: for `precision` and `recall` two arrays of shape [groups]."""
        _, group = np.unique([pair["group"] for pair in self.pairs], return_inverse=True)
        fluent, accepted = self.labels == 1, self.accepted
        right, claimed, positives = (np.bincount(group, its) for its in (fluent & accepted, accepted, fluent))
        return {"precision": (right, claimed), "recall": (right, positives)}

    def share_intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % intervals of the decisions' `precision` and `recall` (`proportions.mid_p_interval`)."""
        return {name: mid_p_interval(*counts) for name, counts in self.shares().items()}

    def points(self) -> dict[str, float]:
        """The figures, by dotted names."""
        return points(self.scores, self.labels, self.accepted)

    def informative_points(self) -> dict[str, float]:
        """The figures that say something of these pairs (`uninformative`)."""
        nothing = uninformative(int(self.labels.sum()), len(self.pairs))
        its = self.points()
        return {name: its[name] for name in its if name.removeprefix(_AT_POINT).partition(".")[0] not in nothing}

    def resampled(self, params: EvaluateParams) -> dict[str, np.ndarray]:
        """The figures in each bootstrap resample, by dotted names, of shape [resamples]."""
        return resampled(
            self.scores,
            self.labels,
            np.array([pair["group"] for pair in self.pairs]),
            accepted=self.accepted,
            resamples=params.resamples,
            seed=params.seed,
        )


def figures(scored: ScoredPairs, params: EvaluateParams, *, uncalibrated: np.ndarray | None = None) -> dict[str, Any]:
    """All figures, those that can have it beside a 95 % interval (`NAME_low`, `NAME_high`), and those of each part.

    Parts have no figure that says nothing of them (`uninformative`).

    Args:
        uncalibrated: the scores before calibration, where there is one, of shape [pairs]; gives `ece_uncalibrated` and
            `log_loss_uncalibrated`.
    """
    at_one_half = replace(scored, decisions=scored.scores > 0.5)
    its, draws = scored.points(), scored.resampled(params)
    bounds = {
        name: interval_of_share(its[name], values)
        for name, values in draws.items()
        if name not in NO_INTERVAL and 0 < its[name] < 1
    }
    flat = _with_bounds(its, bounds | at_one_half.share_intervals() | _at_the_operating_point(scored))
    if uncalibrated is not None:
        flat["ece_uncalibrated"] = expected_calibration_error(uncalibrated, scored.labels)
        flat["log_loss_uncalibrated"] = negative_log_likelihood(uncalibrated, scored.labels)
    parts = scored.by(np.array([pair["part"] for pair in scored.pairs]))
    return {
        **_described(scored, flat),
        "parts": {
            part: _described(inside, _with_bounds(inside.informative_points(), _at_the_operating_point(inside)))
            for part, inside in parts.items()
        },
    }


def at_thresholds(scored: ScoredPairs, thresholds: Mapping[float, float]) -> dict[str, dict[str, float]]:
    """Precision and recall of these pairs at the threshold that validation certifies for each precision.

    Args:
        thresholds: by the precision.
    """
    found = {}
    for target, threshold in thresholds.items():
        there = replace(scored, threshold=threshold)
        point, bounds = point_metrics(there.accepted, there.labels), there.share_intervals()
        found[f"{target:g}"] = {"threshold": threshold, **_with_bounds({name: point[name] for name in bounds}, bounds)}
    return found


def _at_the_operating_point(scored: ScoredPairs) -> dict[str, tuple[float, float]]:
    return {f"{_AT_POINT}{name}": bounds for name, bounds in scored.share_intervals().items()}


def _with_bounds(values: Mapping[str, float], bounds: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Each figure, and beside it the interval that it has."""
    flat = {}
    for name, value in values.items():
        flat[name] = value
        if name in bounds:
            flat[f"{name}_low"], flat[f"{name}_high"] = bounds[name]
    return flat


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
