"""Exact intervals of a share, also where what is counted comes in groups that are not independent."""

import numpy as np


def effective_size(hits: np.ndarray, trials: np.ndarray) -> float:
    """How many independent trials tell as much about the share of hits as these do (Korn & Graubard 1998).

    The variance between groups says it. It is never more than all trials, nor fewer than there would be if the trials
    of each group were copies of one (Kish 1965); that few are taken where all are hits, or none.

    Args:
        hits, trials: in each group, of shape [groups].
    """
    trials = trials.astype(np.float64)
    total, groups = float(trials.sum()), int(np.count_nonzero(trials))
    if not groups:
        return 0.0
    least, share = total**2 / float((trials**2).sum()), float(hits.sum()) / total
    if groups == 1 or share in (0, 1):
        return least
    variance = float(((hits - share * trials) ** 2).sum()) * groups / (groups - 1) / total**2
    return float(np.clip(share * (1 - share) / variance, least, total)) if variance else total


def lower_bound(share: np.ndarray | float, size: np.ndarray | float, confidence: float) -> np.ndarray:
    """The one-sided lower bound of a share that was found in `size` trials (Clopper & Pearson 1934); 0 of none."""
    from scipy.stats import beta  # half a second, and the scorer needs none of it

    hits = np.asarray(share) * size
    some = hits > 0
    return np.where(some, beta.ppf(1 - confidence, np.where(some, hits, 1), size - hits + 1), 0.0)


def exact_interval(hits: np.ndarray, trials: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a share of hits, after Clopper and Pearson on `effective_size` trials; 0 to 1 of no trials.

    Args:
        hits, trials: in each group, of shape [groups].
    """
    size = effective_size(hits, trials)
    if not size:
        return 0.0, 1.0
    share = float(hits.sum()) / float(trials.sum())
    return float(lower_bound(share, size, 0.975)), 1 - float(lower_bound(1 - share, size, 0.975))


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
