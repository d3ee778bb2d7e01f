"""Precision that holds with a confidence, on text like validation: Learn then Test (Angelopoulos et al. 2021).

Thresholds are tested in a fixed sequence, from the strictest down, for a precision of at least the target, until one
fails: all before it are certified, together. The pairs of a group are not independent, so each test counts with the
effective number of pairs (`proportions.effective_size`). Scores and groups choose the sequence, labels never do.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from fluency.evaluation.proportions import lower_bound, size_of_sums

METHOD = "Learn then Test, a fixed sequence; Clopper-Pearson bounds on Korn and Graubard's effective sizes by group"
SHOWN = (0.9, 0.92, 0.95)  # precisions that everybody is told of
CONFIDENCE = 0.95  # where params.yaml names none
MIN_GROUPS = 30  # accepted; fewer certify nothing
_TARGETS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)  # that `lower` may have
_MISTAKES = 2  # that the first test of a sequence forgives: one at the top would often end it
_POINTS = 500  # of a curve

Curve = Mapping[str, Sequence[float] | np.ndarray]


@dataclass(frozen=True)
class Certificate:
    """What holds at an operating point with a confidence, on text like validation.

    Attributes:
        figure: `precision` or `recall`.
        target: what `decision` asked for; None where it asked for no confidence.
        confidence: between 0 and 1.
        bound: the figure is at least this; 0 says nothing.
        groups: of validation, from which the operating point accepts pairs.
        method: how it was found.
    """

    figure: str
    target: float | None
    confidence: float
    bound: float
    groups: int
    method: str = METHOD

    @property
    def holds(self) -> bool:
        """Whether it says something, and what was asked for."""
        return self.bound > 0 and (self.target is None or self.bound >= self.target)

    def __str__(self) -> str:
        kept = f"{self.figure} at least {self.bound:g} with {100 * self.confidence:g} % confidence"
        if self.holds:
            return f"{kept}, on text like validation"
        wanted = "no precision is" if self.target is None else f"{self.figure} at least {self.target:g} is not"
        only = f"; {kept}" if self.bound else ""
        if self.groups < MIN_GROUPS:
            only = f"; validation has {self.groups:.0f} accepted groups, and {MIN_GROUPS} are the least"
        return f"not certified: {wanted} sure with {100 * self.confidence:g} % confidence{only}"


def certified_curve(
    scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, confidence: float, named: float | None = None
) -> dict[str, list[float]]:
    """What thresholds accept, strictest first: every score, or of many pairs 500 that accept evenly more.

    Args:
        scores, labels, groups: of shape [pairs].
        named: a threshold that is to be among them.

    Returns:
        `threshold`; its `precision` and `recall`; how many pairs are `accepted`, of how many `groups`, and how many
        they count for (`effective`); and `lower`: with the confidence, the precision of each threshold is at least
        this, of all of them together. So it holds for the one that you choose by it; 0 says nothing.
    """
    order = np.argsort(-scores, kind="stable")
    sums = _sums_of_the_first(labels[order] == 1, np.unique(groups, return_inverse=True)[1][order])
    ranked = scores[order]
    thresholds = ranked[np.linspace(0, len(ranked) - 1, min(_POINTS, len(ranked))).astype(int)]
    thresholds = np.unique(np.r_[thresholds, [] if named is None else named])[::-1]
    accepted = np.searchsorted(-ranked, -thresholds, side="right")
    count, trials, hits, *products = (np.r_[0, its][accepted] for its in sums)
    curve = {
        "threshold": thresholds,
        "precision": hits / np.maximum(trials, 1),
        "recall": hits / max(int(labels.sum()), 1),
        "accepted": trials,
        "groups": count,
        "effective": size_of_sums(count, trials, hits, *products),
    }
    lower = np.zeros(len(thresholds))
    for target in _TARGETS:  # Bonferroni's correction: all of them hold together
        lower[list(certified(curve, target, 1 - (1 - confidence) / len(_TARGETS)))] = target
    return {name: its.tolist() for name, its in (curve | {"lower": lower}).items()}


def _sums_of_the_first(fluent: np.ndarray, group: np.ndarray) -> list[np.ndarray]:
    """What `size_of_sums` takes, for the first pair, the first two, and so on: each of shape [pairs]."""
    trials, hits = _earlier(np.ones_like(group), group), _earlier(fluent.astype(int), group)
    gained = (trials == 0, np.ones_like(group), fluent, 2 * trials + 1, fluent * (2 * hits + 1))
    products = (hits + fluent) * (trials + 1) - hits * trials
    return [np.cumsum(its) for its in (*gained, products)]


def _earlier(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """For each pair the sum of the values of those before it in its group, of shape [pairs]."""
    order = np.argsort(group, kind="stable")
    sums = np.cumsum(values[order]) - values[order]
    first = np.r_[True, group[order][1:] != group[order][:-1]]
    found = np.empty_like(sums)
    found[order] = sums - sums[np.maximum.accumulate(np.where(first, np.arange(len(group)), 0))]
    return found


def certified(curve: Curve, target: float, confidence: float) -> range:
    """The points of a curve whose precision is certified to be at least `target`, strictest first."""
    start = bisect_left(curve["groups"], groups_needed(target, confidence))
    bounds = lower_bound(np.array(curve["precision"][start:]), np.array(curve["effective"][start:]), confidence)
    failed = np.flatnonzero(bounds < target)
    return range(start, start + int(failed[0]) if len(failed) else len(curve["groups"]))


@cache
def groups_needed(target: float, confidence: float) -> float:
    """The least number of accepted groups that certifies the target where two mistakes are among them."""
    from scipy.stats import binom

    if target >= 1:
        return np.inf
    many = bisect_left(range(10**9), True, key=lambda size: binom.cdf(_MISTAKES, size, 1 - target) <= 1 - confidence)
    return max(many, MIN_GROUPS)


def shortfall(curve: Curve, target: float, confidence: float) -> str:
    """In one line: that the target isn't certified, what is, and how many pairs it would take."""
    best = "no precision above 0.5 is"
    for percent in range(99, 49, -1):
        if rows := certified(curve, percent / 100, confidence):
            best = f"the highest that is, is {percent / 100}, at recall {curve['recall'][rows[-1]]:.3f}"
            break
    pairs = curve["accepted"][-1]
    for times in 1.1 ** np.arange(1, 100):
        more = {**curve, **{name: [value * times for value in curve[name]] for name in ("groups", "effective")}}
        if certified(more, target, confidence):
            wanted = f"some {times * pairs:,.0f} validation pairs like these {pairs:,.0f} would do"
            break
    else:
        wanted = f"no number of pairs like these {pairs:,.0f} would do"
    least = groups_needed(target, confidence)
    return (
        f"a precision of {target:g} is not certified with {100 * confidence:g} % confidence; {best}; {wanted}"
        f"{f', at least {least:,} accepted groups' if np.isfinite(least) else ''}"
    )
