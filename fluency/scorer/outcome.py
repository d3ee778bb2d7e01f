"""What comes of scoring an edit: its score, or the reason why it has none."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from fluency.edits.forms import CannotScore, Change, TooLong
from fluency.evaluation.calibration import Calibration
from fluency.evaluation.monitor import features
from fluency.evaluation.support import OutsideSupport, measures
from fluency.utils.errors import UserError

if TYPE_CHECKING:
    from fluency.model.encoding import Item, Unseen

Outcome = float | CannotScore
Errors = Literal["raise", "nan"]
Outside = Literal["refuse", "score", "nan"]


class UnseenChange(CannotScore):
    """The model's tokenizer gives both sentences the same tokens, though a reader sees that they differ."""


class Readable(NamedTuple):
    """What the model is asked about: the tokens of a change, and its `support.measures`."""

    item: "Item"
    measured: Mapping[str, float]


def readable_or_error(
    change: Change, item: "Item", length: int, unseen: "Unseen | None", calibration: Calibration, ask_outside: bool
) -> Readable | CannotScore:
    """What the model is to be asked about a change, or why it is not asked.

    Args:
        item, length, unseen: what the model's reader gives of it: its tokens, how many, and what it does not see.
        ask_outside: whether the model is asked about what is outside support.
    """
    if unseen == "invisible":
        return UnseenChange("the model's tokenizer sees no change")
    if length > calibration.max_length:
        return TooLong(f"too long; {length} tokens, where {calibration.max_length} are the most")
    measured = measures(change)
    amiss = "" if ask_outside else calibration.support.outside(change, measured)
    return OutsideSupport(amiss) if amiss else Readable(item, measured)


def outcomes_of(
    asked: Mapping[Change, Readable], logits: np.ndarray, calibration: Calibration
) -> tuple[dict[Change, Outcome], np.ndarray]:
    """What comes of each change that the model was asked about, and what a `Monitor` looks at in it.

    Args:
        logits: of shape [changes, 2], in the order of `asked`.

    Returns:
        The outcomes, and an array of shape [changes, features].

    Raises:
        UserError: a logit is no number.
    """
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{list(asked)[int(np.argmin(finite))]!r:.200}: the model gives no number; its weights are broken, or "
            "bfloat16 is too coarse for them (bf16=False)"
        )
    scores, measured = calibration.scores(logits), [its.measured for its in asked.values()]
    amiss = map(calibration.support.outside, asked, measured)
    outcomes = {
        change: OutsideSupport(why, score) if why else score
        for change, score, why in zip(asked, scores.tolist(), amiss, strict=True)
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
