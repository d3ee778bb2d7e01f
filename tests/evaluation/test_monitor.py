"""A monitor says that edits are unlike validation when they are, and seldom otherwise, however often one looks."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from fluency.edits.forms import Change
from fluency.evaluation.monitor import LEVEL, TOLERANCE, Monitor, Reference, features, reference_of

ONE = {"words": [], "changed": [], "score": [0.5]}
WHOLE = {"words": [1.0], "changed": [1.0]}
# a score of at most 0.5 is allowed for three in ten edits
AT_MOST_THREE_TENTHS = Reference(ONE, WHOLE | {"score": [0.2, 0.8]}, WHOLE | {"score": [0.3, 1.0]})


def scored(low: np.ndarray) -> np.ndarray:
    """Edits, of which some have a low score; of shape [edits, features]."""
    return np.column_stack([np.full(len(low), 10), np.ones(len(low)), np.where(low, 0.1, 0.9)])


def alarms(share: float, *, edits: int, batch: int, streams: int = 400, before: int = 0) -> np.ndarray:
    """After how many edits each stream with this share of low scores gives an alarm; infinity where it never does."""
    found = np.full(streams, np.inf)
    for seed in range(streams):
        rng, monitor = np.random.default_rng(seed), Monitor(AT_MOST_THREE_TENTHS)
        low = np.r_[rng.random(before) < 0.2, rng.random(edits) < share]
        for part in np.array_split(low, len(low) // batch):
            monitor.update(scored(part))
            if monitor.drift:
                found[seed] = monitor.edits
                break
    return found


def validation(count: int = 1200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, labels and groups of two."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, count)
    words, changed = rng.integers(4, 20, count), rng.choice([1, 1, 1, 2, 5], count)
    return np.column_stack([words, changed, rng.beta(1 + 4 * labels, 5 - 4 * labels)]), labels, np.arange(count) // 2


@pytest.mark.parametrize("batch", [5, 50])
def test_at_the_edge_of_the_null_hypothesis_false_alarms_keep_their_level(batch):
    found = alarms(0.3, edits=600, batch=batch)
    assert np.isfinite(found).mean() <= LEVEL + 0.01  # its error is 0.01


def test_what_is_fuller_is_noticed_soon_also_after_a_long_time_without_it():
    assert np.quantile(alarms(0.9, edits=500, batch=20, streams=50), 0.95) <= 40
    assert np.quantile(alarms(0.9, edits=500, batch=20, streams=50, before=4000) - 4000, 0.95) <= 100


def test_a_drift_is_told_once_in_one_line_that_says_in_what():
    told = []
    monitor = Monitor(AT_MOST_THREE_TENTHS, told.append)
    for _ in range(5):
        monitor.update(scored(np.ones(100, dtype=bool)))
    assert told == [monitor.drift]
    assert "after 100 edits" in monitor.drift
    assert "too many have a score of at most 0.5 (20.0% of validation)" in monitor.drift
    assert "\n" not in monitor.drift
    assert monitor.edits == 500


def test_the_order_of_a_batch_does_not_count_and_an_empty_one_is_none():
    low = np.arange(1000) < 240
    monitor = Monitor(AT_MOST_THREE_TENTHS)
    monitor.update(scored(low))
    monitor.update(scored(low[:0]))
    assert (monitor.drift, monitor.edits) == ("", 1000)


def test_validation_itself_and_one_with_more_fluent_edits_look_like_validation():
    values, labels, groups = validation()
    reference = reference_of(values, labels, groups)
    for some in (values, values[labels == 1], np.repeat(values, 20, axis=0)):
        monitor = Monitor(reference)
        monitor.update(some)
        assert monitor.drift == ""
    for amiss, others in (("a score of", values[labels == 0]), ("words in", values[values[:, 0] < 7])):
        monitor = Monitor(reference)
        monitor.update(others)
        assert amiss in monitor.drift


def test_one_copied_edit_is_noticed():
    values, labels, groups = validation()
    monitor = Monitor(reference_of(values, labels, groups))
    monitor.watch([("a", "b")] * 100, np.repeat(values[:1], 100, axis=0))
    assert monitor.drift


def rewrites(sentences: int, each: int, rng: np.random.Generator) -> tuple[list[Change], np.ndarray]:
    """Edits of sentences like validation's, `each` of every sentence; all of a sentence have its number of words."""
    values = np.repeat(validation()[0][rng.integers(1200, size=sentences)], each, axis=0)
    drawn = validation()[0][rng.integers(1200, size=len(values)), 1:]
    changes = [
        (f"sentence {row // each} of {rng.integers(2**60)}", f"edit {row}") for row in range(0, len(values), each)
    ]
    return [(before, f"{its} {n}") for before, its in changes for n in range(each)], np.c_[values[:, 0], drawn]


@pytest.mark.parametrize(("once", "batch"), [(True, 8), (True, 64), (False, 64), (False, 3)])
def test_many_edits_of_each_sentence_are_no_alarm_by_themselves(once, batch):
    """They come in batches of whole sentences, as a reward's do, or in any, as a table's and a pipe's do."""
    reference, told = reference_of(*validation()), 0
    for seed in range(20):
        monitor = Monitor(reference, once=once)
        changes, values = rewrites(100, 8, np.random.default_rng(seed))
        for first in range(0, len(changes), batch):
            monitor.watch(changes[first : first + batch], values[first : first + batch])
        assert monitor.edits == 100
        told += bool(monitor.drift)
    assert told == 0


def test_of_a_sentence_one_edit_counts_as_often_as_it_comes_again_or_once():
    batches = [[("a", "b"), ("a", "c"), ("a", "b"), ("d", "e")], [("a", "c"), ("a", "b")], [("d", "e")], [("a", "c")]]
    for once, counted in ((False, [3, 4, 5, 6]), (True, [2, 3, 4, 5])):
        monitor, found = Monitor(AT_MOST_THREE_TENTHS, once=once), []
        for changes in batches:
            monitor.watch(changes, scored(np.zeros(len(changes), dtype=bool)))
            found.append(monitor.edits)
        assert found == counted


def test_the_most_that_is_allowed_lies_above_the_share_and_further_where_groups_are_alike():
    values, labels, _ = validation()
    alone = reference_of(values, labels, np.arange(len(values)))
    alike = reference_of(np.repeat(values[:300], 4, axis=0), np.repeat(labels[:300], 4), np.arange(1200) // 4)
    fewer = reference_of(values[:300], labels[:300], np.arange(300))
    for name in ("words", "changed", "score"):
        assert len(alone.shares[name]) == len(alone.allowed[name]) == len(alone.ranges(name))
        assert (np.array(alone.allowed[name]) >= np.minimum(TOLERANCE * np.array(alone.shares[name]), 1)).all()
        assert alike.allowed[name] == pytest.approx(fewer.allowed[name])


def test_ranges_are_counted_as_they_are_called():
    reference = Reference({"words": [3, 5], "changed": [], "score": []}, {}, {})
    values = features([{"words": words, "changed": 1} for words in (2, 3, 4, 5, 6, 6)], np.full(6, 0.5))
    assert dict(zip(reference.ranges("words"), reference.counts(values)[:5].tolist(), strict=True)) == {
        "at most 3": 2, "more than 3 and at most 5": 2, "more than 5": 2, "at most 5": 4, "more than 3": 4,
    }  # fmt: skip


def test_a_reference_is_the_same_after_json_and_a_broken_one_is_refused():
    reference = reference_of(*validation())
    written = json.loads(json.dumps(asdict(reference)))
    assert Reference.of(written) == reference
    written["allowed"]["words"].pop()
    with pytest.raises(ValueError, match="words: a share of each range and what is allowed"):
        Reference.of(written)
