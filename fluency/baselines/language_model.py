"""What a language model says untrained: log p(after) - log p(before), one figure an edit and nothing to learn."""

import numpy as np

from fluency.model.encoded_pairs import EncodedPairs

_DIFFERENCE = 0  # its place among `edit_features.FEATURES`
_NATS = 10.0  # a difference that is large: scores of 0.25 and 0.75


def score(pairs: EncodedPairs) -> np.ndarray | None:
    """The difference, as numbers from 0 to 1 in the same order, of shape [pairs]; None where no language model read."""
    if "features" not in pairs.columns:
        return None
    difference = np.asarray(pairs.columns["features"][:, _DIFFERENCE], dtype=np.float64)
    # a logistic curve would round those of long sentences to 0 and 1
    return 0.5 * (1 + difference / (_NATS + np.abs(difference)))
