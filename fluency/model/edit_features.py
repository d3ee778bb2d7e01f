"""What an edit head reads of an edit: figures of its tokens' log-probabilities, and states of the language model."""

import numpy as np

from fluency.model.likelihood import Side

# Of a side; an edit has the difference of each between its sides, and the figures of the side after it.
_FIGURES = (
    "log p of the tokens that differ", "a token", "of those changed", "a changed token", "of those that follow",
    "of the rest", "least of all", "least of those changed", "changed tokens", "tokens",
    "rareness of the changed tokens", "a changed token's", "the rarest's",
)  # fmt: skip
FEATURES = (*(f"{name}, difference" for name in _FIGURES), *(f"{name}, after" for name in _FIGURES), "tokens shared")
STATES = ("at the edit before", "at the edit after", "after the edit, difference")


def features(before: Side, after: Side, following: int) -> np.ndarray:
    """The figures that `FEATURES` names: float32, of shape [features]; numbers of tokens are logarithms."""
    one, other = _figures(before, following), _figures(after, following)
    return np.array([*(other - one), *other, np.log(before.shared)], dtype=np.float32)


def states(before: Side, after: Side) -> np.ndarray:
    """What `STATES` names: float32, of shape [3, width]."""
    return np.stack([before.at_edit, after.at_edit, after.after_edit - before.after_edit])


def _figures(side: Side, following: int) -> np.ndarray:
    every = side.log_probs.astype(np.float64)
    changed, rest = every[: side.changed], every[side.changed + following :]
    # a rare word is unlikely though it is right; vocabularies number their tokens by frequency, the first are special
    rareness = np.log(side.ids[: side.changed] + 100.0)
    return np.array(
        [
            every.sum(),
            every.sum() / max(len(every), 1),
            changed.sum(),
            changed.sum() / max(len(changed), 1),
            every[side.changed : side.changed + following].sum(),
            rest.sum(),
            every.min(initial=0.0),
            changed.min(initial=0.0),
            np.log1p(side.changed),
            np.log(side.shared + len(every)),
            rareness.sum(),
            rareness.sum() / max(len(rareness), 1),
            rareness.max(initial=0.0),
        ]
    )
