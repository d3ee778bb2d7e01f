"""Of each role of the challenge set the wrong decisions are counted, with an exact interval."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from fluency.corpus.challenge import Challenge
from fluency.evaluation.challenge import challenge_figures
from fluency.evaluation.proportions import effective_size, mid_p_interval

EDITS = [  # role, kind, words, score
    ("absurd", "unrelated", 2, 0.5),
    ("absurd", "unrelated", 6, 0.4),
    ("absurd", "repeated", 9, 0.9),
    ("mistake", "tense", 2, 0.1),
    ("repair", "tense", 2, 0.4999),
    ("repair", "number", 2, 0.5),
]


def figures(threshold: float) -> dict:
    edits = [Challenge(("word " * words, "Hm."), role, kind) for role, kind, words, _ in EDITS]
    return challenge_figures(edits, np.array([score for *_, score in EDITS]) >= threshold)


def counted(groups: dict) -> dict[str, tuple[int, int]]:
    return {name: (its["wrong"], its["edits"]) for name, its in groups.items()}


def test_wrong_is_what_is_accepted_of_the_first_two_roles_and_refused_of_the_others():
    roles = "absurd", "mistake", "repair", "keeping"
    assert counted(figures(0.5)) == dict(zip(roles, [(2, 3), (0, 1), (1, 2), (0, 0)], strict=True))
    assert counted(figures(1.0)) == dict(zip(roles, [(0, 3), (0, 1), (2, 2), (0, 0)], strict=True))
    assert figures(0.5)["absurd"]["rate"] == pytest.approx(2 / 3)


def test_lengths_and_kinds_divide_the_edits_of_a_role():
    found = figures(0.5)
    assert counted(found["absurd"]["lengths"]) == {"to 4 words": (1, 1), "to 8 words": (0, 1), "to 16 words": (1, 1)}
    assert counted(found["absurd"]["kinds"]) == {"repeated": (1, 1), "unrelated": (1, 2)}
    assert found["repair"]["lengths"].keys() == {"to 4 words"}


def test_of_a_role_without_edits_nothing_is_known():
    found = json.loads(json.dumps(figures(0.5), allow_nan=False))["keeping"]
    assert (found["rate_low"], found["rate_high"], found["lengths"], found["kinds"]) == (0, 1, {}, {})


@given(st.integers(1, 400).flatmap(lambda edits: st.tuples(st.integers(0, edits), st.just(edits))))
def test_the_interval_is_that_of_the_mid_p(counts):
    wrong, edits = counts
    scores = np.array([1.0] * wrong + [0.0] * (edits - wrong))
    found = challenge_figures([Challenge(("a", "b"), "absurd", "unrelated")] * edits, scores >= 0.5)["absurd"]
    whole = binomtest(wrong, edits).proportion_ci(method="exact")
    low, high = found["rate_low"], found["rate_high"]
    assert (found["wrong"], found["edits"]) == counts
    assert whole.low <= low <= wrong / edits <= high <= whole.high
    size = effective_size(scores, np.ones(edits))
    assert (low, high) == mid_p_interval(scores, np.ones(edits))
    for end, hits in ((low, wrong), (1 - high, edits - wrong)) if size == edits else ():
        chance = binom.sf(hits, edits, end) + binom.pmf(hits, edits, end) / 2
        assert chance == pytest.approx(0.025 if hits else 0.5, abs=1e-9)
