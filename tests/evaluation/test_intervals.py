"""Intervals hold the true value as often as they say, by group, and the fast way gives the figures' own values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.guarantees import Population
from fluency.evaluation import intervals
from fluency.evaluation.intervals import interval_of_difference, interval_of_share, resampled
from fluency.metrics import average_precision, points

SCORED = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1), st.integers(0, 1)), min_size=1
)


@given(SCORED)
def test_a_resample_that_draws_all_once_has_the_figures_themselves(rows):
    """One group for all pairs: each resample draws it once."""
    scores, labels = np.array([score for score, _ in rows]), np.array([label for _, label in rows])
    accepted = scores >= 0.6
    draws = resampled(scores, labels, np.zeros(len(rows)), accepted=accepted, resamples=2, seed=1)
    expected = points(scores, labels, accepted)
    assert draws.keys() == expected.keys() - {"ece"}
    for name, values in draws.items():
        assert values == pytest.approx([expected[name]] * 2, abs=1e-6), name


NAMES = points(np.array([0.5]), np.array([1]), np.array([True])).keys() - {"ece"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_resample_has_the_figures_of_its_pairs_written_out(name):
    rng = np.random.default_rng(3)
    scores, labels, groups = rng.random(60).round(1), rng.integers(0, 2, 60), rng.integers(0, 20, 60)
    draws = resampled(scores, labels, groups, accepted=scores > 0.7, resamples=5, seed=7)
    _, group = np.unique(groups, return_inverse=True)
    count = group.max() + 1
    drawn = np.random.default_rng(7).integers(count, size=(5, count), dtype=np.int32)
    for resample, value in zip(drawn, draws[name], strict=True):
        rows = np.concatenate([np.flatnonzero(group == one) for one in resample])
        assert value == pytest.approx(points(scores[rows], labels[rows], scores[rows] > 0.7)[name], abs=1e-6)


def test_intervals_cover_the_true_value_95_percent_of_the_time():
    """500 groups of two alike pairs: by pair the intervals would be too narrow. With 200 groups precision had 93 %."""
    rng, groups, trials = np.random.default_rng(0), 500, 500
    truth = {"precision": 0.8, "recall": 0.8, "accuracy": 0.8, "brier": 0.2, "roc_auc": 0.8}
    covered = dict.fromkeys(truth, 0)
    for seed in range(trials):
        labels = np.repeat(rng.random(groups) < 0.5, 2).astype(int)
        predicted = np.where(np.repeat(rng.random(groups) < 0.8, 2), labels, 1 - labels)
        scores, accepted = predicted.astype(float), predicted == 1
        of = {"accepted": accepted, "resamples": 300, "seed": seed}
        draws = resampled(scores, labels, np.repeat(np.arange(groups), 2), **of)
        found = points(scores, labels, accepted)
        for name, value in truth.items():
            low, high = interval_of_share(found[name], draws[name])
            covered[name] += low <= value <= high
    assert all(0.93 <= count / trials <= 0.97 for count in covered.values()), covered


def test_an_interval_of_a_difference_leaves_out_a_fortieth_at_each_end():
    draws = np.random.default_rng(0).normal(0.3, 0.1, 100_000)
    assert interval_of_difference(0.3, draws) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.003)
    assert interval_of_difference(0.0, np.zeros(100)) == (0, 0)


def test_intervals_do_not_depend_on_how_resamples_are_held_in_memory(monkeypatch):
    rng = np.random.default_rng(1)
    scores, labels, groups = rng.random(100), rng.integers(0, 2, 100), np.arange(100) // 2
    arguments = {"accepted": scores > 0.7, "resamples": 100, "seed": 1}
    whole = resampled(scores, labels, groups, **arguments)
    monkeypatch.setattr(intervals, "_CELLS", 700)
    for name, values in resampled(scores, labels, groups, **arguments).items():
        assert values.tolist() == whole[name].tolist()


def test_two_judges_meet_the_same_draws():
    """So that differences are paired: a judge never differs from itself."""
    rng = np.random.default_rng(1)
    scores, labels, groups = rng.random(100), rng.integers(0, 2, 100), np.arange(100) // 2
    one, two = (
        resampled(scores, labels, groups, accepted=scores > threshold, resamples=50, seed=4) for threshold in (0.7, 0.8)
    )
    apart = {name for name, values in two.items() if not np.array_equal(one[name], values)}
    assert apart == {f"operating_point.{name}" for name in ("precision", "recall", "f1", "accuracy")}


@pytest.mark.parametrize(("skill", "groups"), [(2.0, 300), (1.1, 300)])
def test_intervals_of_figures_near_one_hold_too(skill, groups):
    """Percentiles would hold the better judge's average precision too seldom, log-odds resampled too often."""
    population, held, trials = Population(skill), 0, 200
    truth = average_precision(*population.draw(100_000, 0.0, 0)[:2])
    for seed in range(1, trials + 1):
        scores, labels, group = population.draw(groups, 1.0, seed)
        draws = resampled(scores, labels, group, accepted=scores > 0.9, resamples=200, seed=1)
        low, high = interval_of_share(average_precision(scores, labels), draws["average_precision"])
        held += low <= truth <= high
    assert 0.9 * trials <= held <= 0.975 * trials


def test_an_interval_of_a_share_stays_between_0_and_1_and_holds_the_figure():
    draws = np.array([0.99, 0.995, 1.0, 0.97])
    low, high = interval_of_share(0.99, draws)
    assert 0 < low < 0.99 < high < 1
