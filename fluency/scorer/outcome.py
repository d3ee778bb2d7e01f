"""What comes of scoring an edit: its score, or the reason why it has none."""

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np

from fluency.edits.forms import CannotScore
from fluency.evaluation.support import OutsideSupport

Outcome = float | CannotScore
Errors = Literal["raise", "nan"]
Outside = Literal["refuse", "score", "nan"]


class UnseenChange(CannotScore):
    """The model's tokenizer gives both sentences the same tokens, though a reader sees that they differ."""


def score_of(outcome: Outcome) -> float:
    """The score; of an edit outside support what the model says all the same; else NaN."""
    return getattr(outcome, "score", np.nan) if isinstance(outcome, CannotScore) else outcome


def scores_of(outcomes: Iterable[Outcome], *, errors: Errors, outside: Outside) -> np.ndarray:
    """Scores of shape [outcomes], by what is to become of those that have none.

    Args:
        errors, outside: as for `FluencyScorer.score_edits`.

    Raises:
        CannotScore: the first outcome that is to raise, with its index.
    """
    for name, value, known in (("errors", errors, get_args(Errors)), ("outside", outside, get_args(Outside))):
        if value not in known:
            raise ValueError(f"{name}: {value!r} is none of {', '.join(known)}")
    scores = []
    for index, outcome in enumerate(outcomes):
        tolerated = isinstance(outcome, OutsideSupport) and outside != "refuse"
        if isinstance(outcome, CannotScore) and errors == "raise" and not tolerated:
            raise type(outcome)(f"edit {index}: {outcome}")
        trusted = not isinstance(outcome, OutsideSupport) or outside == "score"
        scores.append(score_of(outcome) if trusted else np.nan)
    return np.array(scores, dtype=np.float64)
