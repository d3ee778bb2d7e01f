"""When a certificate expires: do the edits that are scored still look like validation?

The null hypothesis: whatever came before, the next edit falls into a range of a feature at most a quarter more often
than validation's edits do, or its fluent ones. So a larger share of edits may be fluent than in validation, which makes
precision higher, but not a much smaller one. For each range there are bets that it is fuller (Shafer 2021): the wealth
of one is the likelihood ratio of a larger share, and by chance it ever reaches w with a probability of at most 1 / w
(Ville 1939). So does the mean of all of them, which may be looked at after each batch. Bets begin anew with each batch,
for edits that change late: the n-th has the weight 1 / n (n + 1).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from fluency.edits.forms import Change
from fluency.evaluation.proportions import effective_size, lower_bound

FEATURES = ("words", "changed", "score")  # of an edit, in this order
LEVEL = 0.05  # of false alarms, however long it runs
_OF_BOUNDS = 0.01  # of these, for bounds of validation's shares that are too low
TOLERANCE = 1.25  # by which a range may be fuller: no text is quite like another
_BINS = 20  # of a feature, at most
_ODDS = np.array([1.3, 2.0, 4.0, 16.0, 64.0])  # of the alternatives, in those of the most that the null allows
_SAID = {"words": "{} words in the longer sentence", "changed": "{} words and marks changed", "score": "a score of {}"}


@dataclass(frozen=True)
class Reference:
    """What validation's edits look like.

    A feature has bins; its ranges are each bin, the lowest 2, 3, ... of them, and those above the lowest 1, 2, ...

    Attributes:
        edges: of each feature, the upper ends of its bins but the last, ascending; an end belongs to its bin.
        shares: of validation's edits in each range.
        allowed: the share of edits that the null hypothesis allows there, at most.
    """

    edges: Mapping[str, Sequence[float]]
    shares: Mapping[str, Sequence[float]]
    allowed: Mapping[str, Sequence[float]]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Reference":
        """From what JSON gives of one.

        Raises:
            KeyError, TypeError, ValueError: the values are of something else.
        """
        names = ("edges", "shares", "allowed")
        read = cls(*({its: [float(one) for one in values[name][its]] for its in FEATURES} for name in names))
        for its in FEATURES:
            if not len(read.shares[its]) == len(read.allowed[its]) == len(read.ranges(its)):
                raise ValueError(f"{its}: a share of each range and what is allowed there are needed")
        return read

    def counts(self, values: np.ndarray) -> np.ndarray:
        """How many edits fall into each range, those of all features in a row: of shape [ranges].

        Args:
            values: of shape [edits, features].
        """
        return np.concatenate([
            _ranges(np.bincount(np.searchsorted(self.edges[name], column), minlength=len(self.edges[name]) + 1))
            for name, column in zip(FEATURES, values.T, strict=True)
        ])  # fmt: skip

    def ranges(self, feature: str) -> list[str]:
        """The ranges of a feature in words, in order."""
        ends = [f"{end:.4g}" for end in self.edges[feature]]
        if not ends:
            return ["any number of"]
        below, above = [f"at most {end}" for end in ends], [f"more than {end}" for end in ends]
        between = [f"more than {low} and at most {high}" for low, high in pairwise(ends)]
        return [below[0], *between, above[-1], *below[1:], *above[:-1]]


def _ranges(bins: np.ndarray) -> np.ndarray:
    """What ranges hold, of shape [ranges, ...], from what bins hold, of shape [bins, ...]."""
    below = np.cumsum(bins, axis=0)
    return np.concatenate([bins, below[1:-1], below[-1] - below[:-2]])


def features(measured: Sequence[Mapping[str, float]], scores: np.ndarray) -> np.ndarray:
    """The `FEATURES` of edits, of shape [edits, features], from `support.measures` and calibrated scores of them."""
    return np.column_stack([[its["words"] for its in measured], [its["changed"] for its in measured], scores])


def reference_of(values: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Reference:
    """The reference that validation's edits give.

    Validation is a sample: the most that is allowed starts from upper bounds of its shares, by Clopper and Pearson with
    effective sizes by group, which hold for all ranges at once with a chance of 0.99.

    Args:
        values: of shape [edits, features].
        labels, groups: of shape [edits].
    """
    edges, shares, allowed = {}, {}, {}
    confidence = 1 - _OF_BOUNDS / (2 * 3 * _BINS * len(FEATURES))
    for name, column in zip(FEATURES, values.T, strict=True):
        ends = np.quantile(column, np.linspace(0, 1, _BINS + 1)[1:-1], method="inverted_cdf")
        ends = np.unique(np.round(ends, 3))  # a score nearer to 0 or 1 differs by the processor
        ends = ends[(ends >= column.min()) & (ends < column.max())]
        bins = np.searchsorted(ends, column)
        number, fluent = len(ends) + 1, labels == 1
        its, most = _bounded(bins, groups, number, confidence)
        _, most_of_fluent = _bounded(bins[fluent], groups[fluent], number, confidence)
        edges[name], shares[name] = ends.tolist(), its.tolist()
        allowed[name] = np.minimum(TOLERANCE * np.maximum(most, most_of_fluent), 1.0).tolist()
    return Reference(edges, shares, allowed)


def _bounded(bins: np.ndarray, groups: np.ndarray, number: int, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """The share of edits in each range, and its upper bound."""
    _, group = np.unique(groups, return_inverse=True)
    trials = np.bincount(group)
    hits = _ranges(np.stack([np.bincount(group, bins == its, minlength=len(trials)) for its in range(number)]))
    shares, sizes = hits.sum(axis=1) / len(bins), np.array([effective_size(its, trials) for its in hits])
    return shares, 1 - lower_bound(1 - shares, sizes, confidence)


@dataclass
class Monitor:
    """Running sums of the edits that are scored, and a test of them that may be looked at any time.

    A scorer shows it edits by `watch`. The edits of one sentence have its number of words, so they are no evidence by
    themselves, however many: of each sentence, one counts.

    Attributes:
        reference: what validation's edits look like.
        tell: is called once with `drift`, as soon as there is one; no scorer may be asked in it.
        once: a batch holds draws of the same policy for each sentence, as a reward's does: of each sentence, the first
            counts, once. Else its first edit counts as often as it comes again, so that one copied edit is noticed.
        edits: how many have counted.
        drift: in one line, in what they are unlike validation; empty where they are not.

    Example:
        >>> monitor = Monitor(scorer.calibration.reference)  # doctest: +SKIP
        >>> scores = list(scorer.score_stream(edits, monitor=monitor))  # doctest: +SKIP
        >>> monitor.drift  # doctest: +SKIP
        ''
    """

    reference: Reference
    tell: Callable[[str], None] | None = None
    once: bool = False
    edits: int = field(default=0, init=False)
    drift: str = field(default="", init=False)
    _batches: int = field(default=0, init=False, repr=False)
    _counted: dict[str, str] = field(default_factory=dict, init=False, repr=False)  # of the last batch's sentences

    def __post_init__(self) -> None:
        allowed = np.concatenate([self.reference.allowed[name] for name in FEATURES])
        allowed = np.clip(allowed, 1e-9, 1 - 1e-9)[:, None]
        odds = _ODDS * allowed / (1 - allowed)
        share = odds / (1 + odds)
        self._hit, self._miss = np.log(share / allowed), np.log((1 - share) / (1 - allowed))
        self._wealth = np.full(self._hit.shape, -np.inf)  # its logarithm, by bin and alternative

    def watch(self, changes: Sequence[Change], values: np.ndarray) -> None:
        """Take in the edits of a batch that count. Those of a sentence may be spread over batches that follow.

        Args:
            changes: of shape [edits].
            values: their `FEATURES`, of shape [edits, features].
        """
        if self.once:
            rows = list({before: row for row, (before, _) in reversed(list(enumerate(changes)))}.values())
        else:
            self._counted = {before: self._counted.get(before, after) for before, after in reversed(changes)}
            rows = [row for row, (before, after) in enumerate(changes) if self._counted[before] == after]
        self.update(values[rows])

    def update(self, values: np.ndarray) -> None:
        """Take in a batch of edits, each of which counts; their order in it does not.

        Args:
            values: their `FEATURES`, of shape [edits, features].
        """
        if not len(values):
            return
        self.edits += len(values)
        self._batches += 1
        began = -np.log(self._batches * (self._batches + 1.0) * self._hit.size)
        counts = self.reference.counts(values)[:, None]
        self._wealth = np.logaddexp(self._wealth, began) + counts * self._hit + (len(values) - counts) * self._miss
        kept = 1 / (self._batches + 1)  # not bet yet
        if not self.drift and np.exp(np.minimum(self._wealth, 100)).sum() + kept >= 1 / (LEVEL - _OF_BOUNDS):
            self.note(
                f"after {self.edits:,} edits they no longer look like validation: too many have {self._fullest()}; "
                "what is certain of precision does not hold for them"
            )

    def _fullest(self) -> str:
        """The range whose bet has gained most, in words."""
        row = int(self._wealth.max(axis=1).argmax())
        ranges = [_SAID[name].format(its) for name in FEATURES for its in self.reference.ranges(name)]
        shares = [share for name in FEATURES for share in self.reference.shares[name]]
        return f"{ranges[row]} ({shares[row]:.1%} of validation)"

    def note(self, drift: str) -> None:
        """Take over what was found, and tell it unless something was told before."""
        if drift and not self.drift:
            self.drift = drift
            if self.tell is not None:
                self.tell(drift)
