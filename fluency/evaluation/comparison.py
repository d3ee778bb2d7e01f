"""Is one judge better than another? Paired tests on the same pairs, and the edits on which they disagree."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from fluency.evaluation.intervals import interval_of_difference
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.scored_pairs import ScoredPairs
from fluency.metrics import RECALLS

_SHOWN = (
    "operating_point.precision", "operating_point.recall", "operating_point.f1", "operating_point.accuracy",
    *(f"precision_at_recall.{recall}" for recall in RECALLS if recall > 0.5),  # there, intervals would be too wide
    "precision", "recall", "f1", "accuracy", "average_precision", "roc_auc", "brier", "log_loss",
)  # fmt: skip
# of judges that differ, intervals of these would hold the difference too seldom; of equal ones, often enough to test it
_NO_INTERVAL = ("average_precision", *(name for name in _SHOWN if name.startswith("precision_at_recall")))


@dataclass(frozen=True)
class Comparison:
    """Two judges, A and B, on the same pairs.

    Attributes:
        pairs: how many were compared.
        figures: for each figure that says something of these pairs its name, `a`, `b`, `difference` (B less A) and its
            95 % interval, `low` and `high` (paired bootstrap by group; None where it would hold too seldom); `clear`,
            whether it leaves out 0.
        sign_test: at the operating point and at one half, in how many groups `a` and in how many `b` is right of more
            pairs, and the two-sided exact `p` that this is chance. Pairs of a group are not independent, groups are.
        disagreements: the pairs that one accepts at its operating point and the other doesn't, with `score_a`,
            `score_b` and `right` ("a" or "b"); worst first: what B newly accepts wrongly, then what it newly
            refuses wrongly, then what it mends, each by the distance of the scores.
    """

    pairs: int
    figures: list[dict[str, Any]]
    sign_test: dict[str, dict[str, float]]
    disagreements: list[dict[str, Any]]


def compare(a: ScoredPairs, b: ScoredPairs, params: EvaluateParams) -> Comparison:
    """Compare two judges of the same pairs, in the same order."""
    points_a, points_b = a.informative_points(), b.informative_points()
    draws_a, draws_b = a.resampled(params), b.resampled(params)
    figures = []
    for name in (name for name in _SHOWN if name in points_a):
        difference = points_b[name] - points_a[name]
        low, high = interval_of_difference(difference, draws_b[name] - draws_a[name])
        row = {"figure": name, "a": points_a[name], "b": points_b[name], "difference": difference}
        row |= {"low": None, "high": None} if name in _NO_INTERVAL else {"low": low, "high": high}
        figures.append(row | {"clear": not low <= 0 <= high})
    return Comparison(
        pairs=len(a.pairs),
        figures=figures,
        sign_test={
            "operating point": sign_test(a, a.accepted, b.accepted),
            "one half": sign_test(a, a.scores > 0.5, b.scores > 0.5),
        },
        disagreements=_disagreements(a, b),
    )


def sign_test(pairs: ScoredPairs, accepted_a: np.ndarray, accepted_b: np.ndarray) -> dict[str, float]:
    """The exact sign test of two judges' decisions, each of shape [pairs], as in `Comparison.sign_test`."""
    labels = pairs.labels
    _, group = np.unique([pair["group"] for pair in pairs.pairs], return_inverse=True)
    gained = np.bincount(group, weights=(accepted_b == labels).astype(int) - (accepted_a == labels))
    more_a, more_b = int(np.sum(gained < 0)), int(np.sum(gained > 0))
    p = float(binomtest(more_a, more_a + more_b).pvalue) if more_a + more_b else 1.0
    return {"a": more_a, "b": more_b, "p": p}


def _disagreements(a: ScoredPairs, b: ScoredPairs) -> list[dict[str, Any]]:
    labels = a.labels
    better = (b.accepted == labels) & (a.accepted != labels)
    rows = np.flatnonzero(a.accepted != b.accepted)
    distance = np.abs(a.scores - b.scores)
    order = sorted(rows, key=lambda row: (better[row], labels[row], -distance[row], row))
    return [
        {
            **a.pairs[row],
            "score_a": float(a.scores[row]),
            "score_b": float(b.scores[row]),
            "right": "b" if better[row] else "a",
        }
        for row in order
    ]
