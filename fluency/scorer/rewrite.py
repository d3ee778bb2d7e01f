"""A rewrite of several edits: each edit by itself, in the contexts in which it may stand."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fluency.edits.edit import Edit, apply_all, extract
from fluency.edits.forms import CannotScore, Change
from fluency.evaluation.support import measures
from fluency.scorer.outcome import Outcome, score_of

MAX_SHARE = 0.5  # of the words and marks: where more changes, a text stands in another's place
_FEW = 6  # edits of a rewrite, of which each is scored both with and without the others


class NoEdit(CannotScore):
    """Another text stands in the place of the sentence."""


@dataclass(frozen=True)
class ScoredEdit:
    """One edit of a rewrite.

    Attributes:
        edit: with its offset in the normal form of the sentence before.
        score: the least of its scores without and with the other edits; NaN where it has none.
        reason: why it cannot be judged; empty where it can.
    """

    edit: Edit
    score: float
    reason: str


@dataclass(frozen=True)
class Rewrite:
    """What the edits of a rewrite come to.

    Attributes:
        edits: left to right; none where nothing changes.
        least: the score of the worst edit; 1 where nothing changes, NaN where an edit has no score.
        product: of the scores: the probability that no edit harms, if they were independent.
        accepted: whether each edit can be judged and reaches the operating point.
    """

    edits: list[ScoredEdit]
    least: float
    product: float
    accepted: bool


def judged(
    change: Change, score: Callable[[list[Change]], Iterable[Outcome]], *, max_share: float, threshold: float
) -> Rewrite:
    """The edits that make up a rewrite, each with the others made, and where they are few also without.

    Args:
        score: gives the outcomes of changes, in their order.
        max_share: of the words and marks, the most that may change.
        threshold: scores from it on are accepted.

    Raises:
        ValueError: `max_share` is not between 0 and 1.
        NoEdit: a larger share than `max_share` changes.
    """
    if not 0 <= max_share <= 1:
        raise ValueError(f"max_share: must be between 0 and 1; found {max_share}")
    if (share := measures(change)["share"]) > max_share:
        raise NoEdit(f"no edit; {share:.0%} of its words and marks change, where {max_share:.0%} are the most")
    before, after = change
    found = extract(before, after)
    alone = [(before, edit.apply(before)) for edit in found] if 1 < len(found) <= _FEW else []
    contexts = alone + [(apply_all(found[:place] + found[place + 1 :], before), after) for place in range(len(found))]
    outcomes = list(score(contexts))
    edits = [_scored(edit, outcomes[place :: len(found)]) for place, edit in enumerate(found)]
    scores = np.array([1.0, *(its.score for its in edits)])  # NaN stays NaN
    accepted = bool(scores.min() >= threshold) and not any(its.reason for its in edits)
    return Rewrite(edits, float(scores.min()), float(scores.prod()), accepted)


def _scored(edit: Edit, outcomes: Sequence[Outcome]) -> ScoredEdit:
    reasons = [str(outcome) for outcome in outcomes if isinstance(outcome, CannotScore)]
    return ScoredEdit(edit, float(np.min([score_of(outcome) for outcome in outcomes])), " ".join(reasons[:1]))
