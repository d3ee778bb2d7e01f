"""Bounds are Clopper and Pearson's, intervals by the mid-P; both count groups where the pairs of a group are alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from benchmarks.guarantees import intervals_of_shares
from fluency.evaluation.proportions import effective_size, holm, lower_bound, mid_p_interval, p_of_fewer

COUNTS = st.integers(1, 400).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size)))


@given(COUNTS, st.sampled_from([0.9, 0.95, 0.99]))
def test_bounds_of_independent_trials_are_clopper_and_pearsons(counts, confidence):
    hits, size = counts
    expected = binomtest(hits, size, alternative="greater").proportion_ci(confidence, method="exact")
    assert lower_bound(hits / size, size, confidence) == pytest.approx(expected.low, abs=1e-9)


@given(COUNTS)
def test_at_the_ends_of_an_interval_half_of_the_hits_found_and_all_beyond_have_a_chance_of_a_fortieth(counts):
    hits, size = counts
    alone = np.repeat([1, 0], [hits, size - hits]), np.ones(size, dtype=int)
    assert size - 1 <= effective_size(*alone) <= size  # the variance of few hits is estimated a little too large
    low, high = mid_p_interval(*alone)
    if effective_size(*alone) == size:
        for end, chance in ((low, binom.sf(hits, size, low)), (high, binom.cdf(hits - 1, size, high))):
            assert end in (0, 1) or chance + binom.pmf(hits, size, end) / 2 == pytest.approx(0.025, abs=1e-9)
    assert (low == 0) == (hits == 0)
    assert (high == 1) == (hits == size)


def test_of_hits_alone_an_interval_has_the_one_sided_bound():
    assert mid_p_interval(np.ones(30), np.ones(30)) == pytest.approx((0.05 ** (1 / 30), 1))


def test_an_interval_of_a_share_holds_as_often_as_the_page_says():
    """From three expected mistakes on; of fewer no interval can, as the truth is that none is wrong, or nearly so."""
    held = intervals_of_shares()
    assert held["3 to 30 expected, least"] >= 0.915
    assert held["3 to 30 expected, most"] <= 0.98


@given(COUNTS)
def test_the_chance_of_fewer_hits_is_the_binomials(counts):
    hits, size = counts
    expected = binomtest(hits, size, 0.8, alternative="less").pvalue
    assert p_of_fewer(hits / size, size, 0.8) == pytest.approx(expected, abs=1e-9)


def test_copies_within_a_group_count_once():
    hits, trials = np.array([3, 0, 3, 3, 0, 3, 3, 3]), np.full(8, 3)
    assert effective_size(hits, trials) == 8
    assert mid_p_interval(hits, trials) == mid_p_interval(hits // 3, trials // 3)
    assert effective_size(trials, trials) == 8  # all are hits: as if they were copies


@given(st.lists(st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1))
def test_a_size_is_never_more_than_all_trials_nor_fewer_than_copies_would_be(rows):
    hits, trials = (np.array(column) for column in zip(*rows, strict=True))
    least = trials.sum() ** 2 / (trials**2).sum()
    assert least * (1 - 1e-9) <= effective_size(hits, trials) <= trials.sum() * (1 + 1e-9)
    low, high = mid_p_interval(hits, trials)
    assert 0 <= low <= hits.sum() / trials.sum() <= high <= 1


def test_of_no_trials_nothing_is_known():
    none = np.zeros(3, dtype=int)
    assert effective_size(none, none) == 0
    assert mid_p_interval(none, none) == (0, 1)


def test_many_tests_are_corrected_in_their_order():
    assert holm(np.array([0.04, 0.01, 0.5, 0.03])) == pytest.approx([0.09, 0.04, 0.5, 0.09])
    assert holm(np.array([0.9, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).size == 0
