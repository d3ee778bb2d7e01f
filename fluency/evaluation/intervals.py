"""Bootstrap intervals by group: how sure a figure is, and the difference of two.

The pairs of a group share a sentence and are not independent, so groups are drawn, not pairs (Davison & Hinkley 1997,
section 3.8). Two scorers resampled with the same groups and seed meet the same draws, which pairs their differences.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from fluency.metrics import RECALLS

# alone, these would have intervals that hold too seldom (benchmarks/guarantees.py); their differences have good ones
NO_INTERVAL = frozenset(("log_loss", *(f"precision_at_recall.{recall}" for recall in RECALLS)))
_CELLS = 1 << 21  # of the resampling matrix held at once: 8 MiB, which the cache of a processor nearly holds
_GRID = 2.0**-29  # of all that is summed: float64 holds sums of up to 2^24 such terms exactly


def interval_of_share(value: float, values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a figure above 0 and below 1, normal in its log-odds, with the spread of resampled `values`.

    Near 1, percentiles would hold the true value too seldom, and the spread of the log-odds of `values` too often.
    """
    spread = _spread(values) / (value * (1 - value))
    middle = math.log(value / (1 - value))
    return 1 / (1 + math.exp(spread - middle)), 1 / (1 + math.exp(-spread - middle))


def interval_of_difference(value: float, values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a difference, normal, with the spread of resampled `values`."""
    return value - _spread(values), value + _spread(values)


def _spread(values: np.ndarray) -> float:
    return 1.96 * float(np.std(values))


def resampled(
    scores: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    accepted: np.ndarray,
    resamples: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Every figure of `metrics.points` but the ECE, by the same names, in each resample.

    A resample's ECE is larger than that of its pairs, as its bins hold fewer different ones, so it tells no interval.

    Args:
        scores, labels, groups, accepted: of shape [n]; `accepted` is the decision at the operating point.

    Returns:
        Arrays of shape [resamples].
    """
    _, group = np.unique(groups, return_inverse=True)
    sums = _sums(scores, labels, accepted, group)
    columns = np.stack(list(sums.values()), axis=1)
    order = _Ranking(scores, labels, group)
    chunks = [
        _from_sums(dict(zip(sums, (draws @ columns).T, strict=True))) | order.figures(draws)
        for draws in _draws(int(group.max()) + 1, len(labels), resamples, seed)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _draws(groups: int, pairs: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each group is drawn: float32 of shape [some resamples, groups], so many that memory stays small."""
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // pairs)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(groups, size=(rows, groups), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.float32)


def _sums(scores: np.ndarray, labels: np.ndarray, accepted: np.ndarray, group: np.ndarray) -> dict[str, np.ndarray]:
    """What adds up over pairs, in each group: of shape [groups].

    Terms are rounded to a grid on which every sum is exact: BLAS adds in another order for another shape or processor.
    """
    fluent, least = labels == 1, np.finfo(np.float64).eps  # as scikit-learn's log loss has it
    surprise = -np.log(np.clip(np.where(fluent, scores, 1 - scores), least, 1 - least))
    squares = (scores - labels) ** 2
    terms = {"pairs": np.ones(len(labels)), "positives": fluent, "squares": squares, "surprise": surprise}
    for prefix, claimed in (("", scores > 0.5), ("operating_point.", accepted)):
        terms |= {f"{prefix}claimed": claimed, f"{prefix}hits": claimed & fluent}
    return {name: np.bincount(group, weights=np.round(term / _GRID) * _GRID) for name, term in terms.items()}


def _from_sums(sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    pairs, positives = sums["pairs"], sums["positives"]
    figures = {"brier": sums["squares"] / pairs, "log_loss": sums["surprise"] / pairs}
    for prefix in ("", "operating_point."):
        claimed, hits = sums[f"{prefix}claimed"], sums[f"{prefix}hits"]
        figures[f"{prefix}precision"] = _ratio(hits, claimed)
        figures[f"{prefix}recall"] = _ratio(hits, positives)
        figures[f"{prefix}f1"] = _ratio(2 * hits, claimed + positives)
        figures[f"{prefix}accuracy"] = (pairs - claimed - positives + 2 * hits) / pairs
    return figures


class _Ranking:
    """The figures that depend on the order of scores alone, for any weights of the groups."""

    def __init__(self, scores: np.ndarray, labels: np.ndarray, group: np.ndarray) -> None:
        order = np.argsort(-scores, kind="stable")
        self._group = group[order]
        self._label = labels[order].astype(np.float32)
        last = np.r_[scores[order][1:] != scores[order][:-1], True]  # of those with the same score
        self._last = None if last.all() else np.flatnonzero(last)

    def figures(self, draws: np.ndarray) -> dict[str, np.ndarray]:
        weight = draws[:, self._group]
        claimed = np.cumsum(weight, axis=1)  # whole numbers far below 2^24: exact in float32
        weight *= self._label
        hits = np.cumsum(weight, axis=1, out=weight)
        if self._last is not None:
            claimed, hits = claimed[:, self._last], hits[:, self._last]
        positives, pairs = hits[:, -1:].astype(np.float64), claimed[:, -1:].astype(np.float64)
        negatives = pairs - positives
        gained = np.diff(hits, axis=1, prepend=np.float32(0))
        precision = hits / np.maximum(claimed, 1)
        recalled = np.einsum("rn,rn->r", gained, precision, dtype=np.float64)[:, None]
        # Each positive is above the negatives that come later, and level with half of those that share its score.
        misses = claimed - hits
        level = np.diff(misses, axis=1, prepend=np.float32(0))
        misses -= level / 2
        below = np.einsum("rn,rn->r", gained, misses, dtype=np.float64)[:, None]
        both = (positives > 0) & (negatives > 0)
        area = np.where(both, 1 - below / np.where(both, positives * negatives, 1), 0.5)
        figures = {"average_precision": _ratio(recalled, positives)[:, 0], "roc_auc": area[:, 0]}
        for recall in RECALLS:
            enough = hits >= recall * np.maximum(positives, 1) - 1e-6  # whole numbers, rounding aside
            figures[f"precision_at_recall.{recall}"] = np.where(enough, precision, 0).max(axis=1).astype(np.float64)
        return figures


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros(below.shape), where=below > 0)
