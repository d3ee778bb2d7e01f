"""A rewrite of several edits: each edit by itself, in the contexts in which it may stand."""

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Plan:
    """The edits of a rewrite, and the changes to ask the model about: for each edit in turn, as many as for another."""

    edits: list[Edit]
    changes: list[Change]


def plan_of(change: Change, max_share: float) -> Plan:
    """Which changes tell what the edits of a rewrite do.

    Raises:
        ValueError: `max_share` is not between 0 and 1.
        NoEdit: a larger share than `max_share` of the words and marks changes.
    """
    if not 0 <= max_share <= 1:
        raise ValueError(f"max_share: must be between 0 and 1; found {max_share}")
    if (share := measures(change)["share"]) > max_share:
        raise NoEdit(f"no edit; {share:.0%} of its words and marks change, where {max_share:.0%} are the most")
    before, after = change
    edits, changes = extract(before, after), []
    for place, edit in enumerate(edits):
        if 1 < len(edits) <= _FEW:
            changes.append((before, edit.apply(before)))
        changes.append((apply_all(edits[:place] + edits[place + 1 :], before), after))
    return Plan(edits, changes)


def judged(plan: Plan, outcomes: Sequence[Outcome], threshold: float) -> Rewrite:
    """The rewrite by the outcomes of its changes.

    Args:
        outcomes: of `plan.changes`, in their order.
        threshold: scores from it on are accepted.
    """
    ways = len(plan.changes) // max(len(plan.edits), 1)
    edits = []
    for place, edit in enumerate(plan.edits):
        its = outcomes[place * ways : (place + 1) * ways]
        reasons = [str(outcome) for outcome in its if isinstance(outcome, CannotScore)]
        edits.append(ScoredEdit(edit, float(np.min([score_of(outcome) for outcome in its])), " ".join(reasons[:1])))
    scores = np.array([1.0, *(its.score for its in edits)])  # NaN stays NaN
    accepted = bool(scores.min() >= threshold) and not any(its.reason for its in edits)
    return Rewrite(edits, float(scores.min()), float(scores.prod()), accepted)
