"""Judges of other projects, by name. Each decides by itself, and needs a package that the pipeline does not."""

from collections.abc import Callable
from functools import cache

import numpy as np
from tqdm import tqdm

from fluency.evaluation.scored_pairs import Pairs
from fluency.utils.errors import UserError

THRESHOLD = 0.5  # from here on a peer accepts; nothing of it is learnt from validation


def harper(pairs: Pairs) -> np.ndarray:
    """By Harper, a grammar checker made of rules: an edit is accepted where the number of problems does not rise.

    Returns:
        Numbers from 0 to 1: a half where as many problems are left, more where there are fewer. Of shape [pairs].

    Raises:
        UserError: it is not installed.
    """
    try:
        from harper import Language, Linter
    except ImportError:
        raise UserError("baseline.peers: harper is not installed; pip install harper-py==0.2.0") from None
    linter = Linter()

    @cache
    def problems(sentence: str) -> int:
        return len(linter.lint(sentence, language=Language.PLAINTEXT))

    each = tqdm(pairs, "harper", unit="pair", disable=None)
    fewer = np.array([problems(pair["before"]) - problems(pair["after"]) for pair in each], dtype=np.float64)
    return 0.5 * (1 + fewer / (1 + np.abs(fewer)))


SCORES: dict[str, Callable[[Pairs], np.ndarray]] = {"harper": harper}  # those that `params.PEERS` names
