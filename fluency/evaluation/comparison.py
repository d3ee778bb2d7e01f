"""Is one judge better than another? Paired tests on the same pairs, and the edits on which they disagree."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from fluency.evaluation.intervals import interval
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.scored_pairs import ScoredPairs

_SHOWN = (
    "operating_point.precision", "operating_point.recall", "operating_point.f1", "operating_point.accuracy",
    "precision", "recall", "f1", "accuracy", "average_precision", "roc_auc", "brier", "ece",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Two judges, A and B, on the same pairs.

    Attributes:
        pairs: how many were compared.
        figures: for each figure its name, `a`, `b`, `difference` (B less A) and its 95 % interval, `low` and `high`
            (paired bootstrap by group).
        mcnemar: at the operating point and at argmax, how many pairs only `a` and only `b` gets right, and the
            two-sided exact `p` that both are right equally often (McNemar 1947).
        disagreements: the pairs that one accepts at its operating point and the other doesn't, with `score_a`,
            `score_b` and `right` ("a" or "b"); worst first: what B newly accepts wrongly, then what it newly
            refuses wrongly, then what it mends, each by the distance of the scores.
    """

    pairs: int
    figures: list[dict[str, Any]]
    mcnemar: dict[str, dict[str, float]]
    disagreements: list[dict[str, Any]]


def compare(a: ScoredPairs, b: ScoredPairs, params: EvaluateParams) -> Comparison:
    """Compare two judges of the same pairs, in the same order."""
    points_a, points_b = a.points(), b.points()
    draws_a, draws_b = a.resampled(params), b.resampled(params)
    figures = []
    for name in _SHOWN:
        low, high = interval(draws_b[name] - draws_a[name])
        row = {"figure": name, "a": points_a[name], "b": points_b[name], "difference": points_b[name] - points_a[name]}
        figures.append({**row, "low": low, "high": high})
    return Comparison(
        pairs=len(a.pairs),
        figures=figures,
        mcnemar={
            "operating point": _mcnemar(a.accepted == a.labels, b.accepted == b.labels),
            "argmax": _mcnemar((a.scores > 0.5) == a.labels, (b.scores > 0.5) == b.labels),
        },
        disagreements=_disagreements(a, b),
    )


def _mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> dict[str, float]:
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return {"a": only_a, "b": only_b, "p": p}


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
