"""Do the guarantees hold? Draws from a population whose truth is known, with independent pairs and with alike ones.

Run as `python -m benchmarks.guarantees`; writes benchmarks/guarantees.json. A `correlation` of 0.4 means that within a
group each pair but the first is a copy of the first with a probability of 0.4: same label, same score.
"""

from pathlib import Path

import numpy as np
from scipy.stats import norm

RESULT = Path(__file__).with_suffix(".json")
SIZES = np.repeat([1, 2, 3, 4, 5, 6], [34, 442, 57, 2, 13, 4])  # pairs a group has, as in the sample's validation
CORRELATIONS = (0.0, 0.4, 1.0)
WEAK, STRONG = 1.1, 2.0  # skill of a judge: precision at recall 0.8 is 0.90, or 0.998
VALIDATION, TEST = 552, 1111  # groups


class Population:
    """Pairs, half of them fluent, whose log-odds by a calibrated judge are normal around plus and minus 2 skill^2."""

    def __init__(self, skill: float) -> None:
        self.skill = skill

    def draw(self, groups: int, correlation: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores, labels and groups, each of shape [pairs]."""
        rng = np.random.default_rng(seed)
        sizes = rng.choice(SIZES, groups)
        group = np.repeat(np.arange(groups), sizes)
        label = rng.integers(0, 2, len(group))
        margin = (2 * label - 1) * self.skill + rng.normal(size=len(group))
        first = np.repeat(np.cumsum(sizes) - sizes, sizes)
        copied = rng.random(len(group)) < correlation
        label, margin = (np.where(copied, its[first], its) for its in (label, margin))
        return 1 / (1 + np.exp(-2 * self.skill * margin)), label, group

    def precision(self, threshold: np.ndarray) -> np.ndarray:
        """The true precision of thresholds."""
        fluent, harm = self._accepted(threshold)
        return fluent / (fluent + harm)

    def recall(self, threshold: np.ndarray) -> np.ndarray:
        """The true recall of thresholds."""
        return self._accepted(threshold)[0]

    def _accepted(self, threshold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(divide="ignore"):
            margin = np.log(threshold / (1 - threshold)) / (2 * self.skill)
        return norm.sf(margin - self.skill), norm.sf(margin + self.skill)
