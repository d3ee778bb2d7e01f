"""What comes of scoring an edit: its score, or the reason why it has none."""

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import numpy as np

from fluency.edits.forms import CannotScore, Change
from fluency.evaluation.calibration import Calibration
from fluency.evaluation.monitor import features
from fluency.evaluation.support import OutsideSupport, measures
from fluency.utils.errors import UserError

Outcome = float | CannotScore
Errors = Literal["raise", "nan"]
Outside = Literal["refuse", "score", "nan"]


class UnseenChange(CannotScore):
    """The model's tokenizer gives both sentences the same tokens, though a reader sees that they differ."""


def outcomes_of(
    changes: Sequence[Change], logits: np.ndarray, calibration: Calibration
) -> tuple[dict[Change, Outcome], np.ndarray]:
    """What comes of each change that the model was asked about, and what a `Monitor` looks at in it.

    Args:
        logits: of shape [changes, 2].

    Returns:
        The outcomes, and an array of shape [changes, features].

    Raises:
        UserError: a logit is no number.
    """
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{changes[int(np.argmin(finite))]!r:.200}: the model gives no number; its weights are broken, or "
            "bfloat16 is too coarse for them (bf16=False)"
        )
    scores, measured = calibration.scores(logits), [measures(change) for change in changes]
    amiss = map(calibration.support.outside, changes, measured)
    outcomes = {
        change: OutsideSupport(why, score) if why else score
        for change, score, why in zip(changes, scores.tolist(), amiss, strict=True)
    }
    return outcomes, features(measured, scores)


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
