"""Intervals and bounds of a share, also where what is counted comes in groups that are not independent."""

import numpy as np


def effective_size(hits: np.ndarray, trials: np.ndarray) -> float:
    """How many independent trials tell as much about the share of hits as these do (`size_of_sums`).

    Args:
        hits, trials: in each group, of shape [groups].
    """
    hits, trials = hits.astype(np.float64), trials.astype(np.float64)
    products = (trials**2).sum(), (hits**2).sum(), (hits * trials).sum()
    return float(size_of_sums(np.count_nonzero(trials), trials.sum(), hits.sum(), *products))


def size_of_sums(
    groups: np.ndarray, trials: np.ndarray, hits: np.ndarray,
    squared_trials: np.ndarray, squared_hits: np.ndarray, products: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Effective sizes (Korn & Graubard 1998) from the number of groups and sums over them.

    The variance between groups says it. A size is never more than all trials, nor less than if the trials of each group
    were copies of one (Kish 1965), which is taken where all are hits, or none.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share, least = hits / trials, trials**2 / squared_trials
        spread = (squared_hits - 2 * share * products + share**2 * squared_trials) * groups / (groups - 1)
        size = share * (1 - share) * trials**2 / np.maximum(spread, 0)  # a variance of 0 may come out a little below it
    mixed = (groups > 1) & (share > 0) & (share < 1)
    return np.where(trials > 0, np.where(mixed, np.clip(size, least, trials), least), 0.0)


def lower_bound(share: np.ndarray | float, size: np.ndarray | float, confidence: float) -> np.ndarray:
    """The one-sided lower bound of a share that was found in `size` trials (Clopper & Pearson 1934); 0 of none."""
    from scipy.stats import beta  # half a second, and the scorer needs none of it

    hits = np.asarray(share) * size
    some = hits > 0
    return np.where(some, beta.ppf(1 - confidence, np.where(some, hits, 1), size - hits + 1), 0.0)


def mid_p_interval(hits: np.ndarray, trials: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a share of hits, by the mid-P of `effective_size` trials; 0 to 1 of no trials.

    An end is the share at which as few or as many hits have a chance of 0.025, where those found count by half (Berry
    & Armitage 1995). Clopper and Pearson count them whole, so that theirs holds in 97 % or more. Of hits alone, and of
    none, it is their one-sided 95 % bound.

    Args:
        hits, trials: in each group, of shape [groups].
    """
    size = effective_size(hits, trials)
    if not size:
        return 0.0, 1.0
    share = float(hits.sum()) / float(trials.sum())
    return _mid_p_bound(share, size), 1 - _mid_p_bound(1 - share, size)


def _mid_p_bound(share: float, size: float) -> float:
    """The lower end."""
    from scipy.optimize import brentq
    from scipy.special import betainc

    hits, misses = share * size, (1 - share) * size
    if not hits:
        return 0.0

    def chance(truth: float) -> float:  # of more hits, and of half of those with as many
        return (betainc(hits, misses + 1, truth) + (betainc(hits + 1, misses, truth) if misses else 0)) / 2

    return float(brentq(lambda truth: chance(truth) - 0.025, 0, 1))


def rate(hits: np.ndarray) -> dict[str, float]:
    """The share of hits among independent trials, `rate`, and its 95 % interval, `rate_low` and `rate_high`.

    Args:
        hits: of shape [trials], bool.
    """
    low, high = mid_p_interval(hits, np.ones(len(hits)))
    return {"rate": int(hits.sum()) / max(len(hits), 1), "rate_low": low, "rate_high": high}


def p_of_fewer(share: float, size: float, expected: float) -> float:
    """The chance to find a share of hits of at most this in `size` trials that hit with a probability of `expected`."""
    from scipy.special import betainc

    misses = (1 - share) * size
    return float(betainc(misses, share * size + 1, 1 - expected)) if misses else 1.0


def holm(chances: np.ndarray) -> np.ndarray:
    """The p of several tests, corrected for their number: of all together, one is seldom wrong (Holm 1979)."""
    order = np.argsort(chances, kind="stable")
    corrected = np.maximum.accumulate(chances[order] * np.arange(len(chances), 0, -1))
    found = np.empty(len(chances))
    found[order] = np.minimum(corrected, 1)
    return found
