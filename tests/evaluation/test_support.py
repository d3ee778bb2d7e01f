"""The support is what fluent edits of validation look like, by quantiles of their measures."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluency.corpus.challenge import read_challenge
from fluency.evaluation.support import Support, measures, support_of
from fluency.utils.errors import UserError
from fluency.utils.files import read_json

WORDS = st.lists(st.sampled_from(["a", "b", "c,", "don't"]), min_size=1, max_size=9).map(" ".join)


def of(changes, labels=None, **level):
    """The support of changes, which are fluent where no label says otherwise."""
    labels, groups = np.array(labels or [1] * len(changes)), np.arange(len(changes))
    return support_of(changes, list(map(measures, changes)), labels, groups, **level)


def test_an_edit_is_measured_in_words_characters_and_what_changes():
    assert measures(("She go home.", "She goes home.")) == {"words": 3, "characters": 14, "changed": 1, "share": 0.25}
    assert measures(("a b c", "x b y z")) == {"words": 4, "characters": 7, "changed": 3, "share": 0.75}


def test_bounds_are_those_of_fluent_edits_alone():
    changes = [("a b", "a c"), ("a b c d", "x y c d"), ("a", "v w x y z")]
    support = of(changes, [1, 1, 0], level=1.0)
    assert support.bounds == {
        "words": (2, 4), "characters": (0, 7), "changed": (0, 2), "share": (0, 0.5), "out_of_vocabulary": (0, 2),
    }  # fmt: skip
    assert support.outside(("a b", "a x")) == ""
    assert support.outside(("a", "b")).startswith("outside support; 1 words in the longer sentence, where validation")
    assert "where validation has 0 to 2" in support.outside(("a b c d", "x y z d"))
    with pytest.raises(UserError, match="no pair with label 1"):
        of(changes[2:], [0])


def test_changes_outside_are_counted_and_those_that_their_score_alone_would_accept():
    support = of([("a b", "a c"), ("a b c d", "x y c d")], level=1.0)
    changes = [("a b", "a x"), ("a", "b"), ("a", "c"), ("a b", "a .")]
    assert support.counts(changes, np.array([True, True, False, True])) == {
        "pairs": 4, "outside": 2, "outside_accepted_at_operating_point": 1,
    }  # fmt: skip


@pytest.mark.parametrize("after", [".", "?!", "***** - *****", "👍"])
def test_a_sentence_without_letter_or_digit_is_outside_whatever_the_bounds(after):
    """Of a short sentence its full stop alone is left, and a model thought well of it."""
    wide = Support(1.0, dict.fromkeys(("words", "characters", "changed", "share"), (0, 99)))
    for change in (("He sneezed.", after), (after, "He sneezed.")):
        assert wide.outside(change) == "outside support; a sentence without letter or digit"
    assert not wide.outside(("He sneezed.", "7"))


def test_a_sentence_of_words_that_validation_does_not_know_is_outside():
    """A model may accept mistakes in a language that it was never asked about."""
    support = Support(1.0, {"out_of_vocabulary": (0, 0)}, frozenset(("a", "the", "is", "in", "dog", "house")))
    for change in (("A cat is in it.", "The cat's in a HOUSE 123."), ("the dog", "the dogs"), ("Dog!", "Dog?!")):
        assert not support.outside(change)
    for unknown, number in (("Der Hund ist im house.", 3), ("\u732b\u304c\u3044\u308b", 4), ("cats", 1)):
        what = f"outside support; {number} more words that validation does not know than words that it knows, where"
        for change in (("a dog", unknown), (unknown, "a dog")):
            assert support.outside(change).startswith(what)


def test_a_word_of_one_group_alone_is_not_known_to_it():
    """Text to come is of no group, so a bound from words that each group knows of itself would be too low."""
    changes = [("x y z", "x y w"), ("x y z", "x y w"), ("a b", "a c")]
    for groups, most in (([1, 1, 2], 3), ([1, 3, 2], 2)):
        support = support_of(changes, list(map(measures, changes)), np.ones(3), np.array(groups), level=1.0)
        assert support.bounds["out_of_vocabulary"] == (0, most)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1))
def test_at_level_one_every_fluent_edit_of_validation_is_inside(changes):
    support = of(changes, level=1.0)
    assert not any(map(support.outside, changes))


def test_the_level_leaves_the_rarest_out():
    changes = [("a b", "a c")] * 98 + [("a b c", "x y z")] * 2
    assert of(changes, level=0.97).bounds["changed"] == (0, 1)
    assert of(changes, level=0.99).bounds["changed"] == (0, 3)


def test_a_support_tells_itself_and_is_the_same_after_json():
    support = of([("a b", "a c")], level=0.99)
    assert Support.of({"level": 0.99, "bounds": support.bounds, "vocabulary": ["a", "b", "c"]}) == support
    assert "each bound holds 99.0% of validation's fluent ones): 2 to 2 words" in str(support)
    assert str(support).endswith("; a letter or digit in each sentence")


def test_the_support_of_the_sample_holds_honest_edits_of_the_challenge_set_and_few_absurd_ones():
    committed = read_json("metrics/validation.json")
    if committed["examples"] < 1000:
        pytest.skip("the results are not the whole sample's")
    bounds = {name: its for name, its in committed["support"]["bounds"].items() if name != "out_of_vocabulary"}
    support = Support(committed["support"]["level"], bounds)  # the words that validation knows are not committed
    outside = {"absurd": [], "mistake": [], "repair": [], "keeping": []}
    for edit in read_challenge(Path("data/sample/challenge")):
        outside[edit.role].append(bool(support.outside(edit.change)))
    share = {role: sum(its) / len(its) for role, its in outside.items()}
    assert share["repair"] < 0.02
    assert share["keeping"] < 0.02
    assert share["absurd"] > 0.5
