"""Of rewrites, single edits are labelled, whose sentences are alike no others, and of which the model is least sure."""

import numpy as np
import pytest

from fluency.edits.forms import CannotScore
from fluency.labelling.selection import apart, least_sure, single_edits

ONE = ("She go home.", "She goes home.")


def test_single_edits_are_found_and_the_others_counted_by_reason():
    rewrites = [
        ONE,
        ("She  go\nhome. ", "She goes home."),  # the same, as the model reads it
        ("She go home now.", "She goes home then."),
        ("She goes.", "She goes. "),
        ("", "She goes."),
        ("She go.", "She goes."),
        ("She go home.", "go", "went"),
        CannotScore("no JSON; line 3"),
    ]
    changes, aside = single_edits(rewrites)
    assert changes == [ONE, ("She go.", "She goes."), ("She go home.", "She went home.")]
    assert aside == {"the same as another": 1, "several edits": 1, "no edit": 1, "before: empty": 1, "no JSON": 1}


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        (("She went home.", "SHE GOES  home."), True),  # its sentence after, in other letters
        (("The old man sat on the bench by the river.", "The old man sat on the bank by the river."), True),
        (("The old man slept at the inn.", "The old man slept in the inn."), False),
    ],
)
def test_edits_that_share_a_sentence_or_nearly_one_are_in_one_group(change, alike):
    others = [ONE, ("An old man sat on the bench by the river.", "An old man sit on the bench by the river.")]
    _, group = apart([change, *others], [], 0.7)
    assert (group[0] in group[1:]) == alike
    assert group[1] != group[2]
    assert apart([change, *others], others, 0.7)[0].tolist() == [0] * (not alike)
    exact = alike and "SHE" in change[1]
    _, group = apart([change, *others], [], None)
    assert (group[0] in group[1:]) == exact
    assert apart([change, *others], others, None)[0].tolist() == [0] * (not exact)


def test_what_is_like_one_that_leaks_does_not_leak_itself_and_is_like_no_other_by_it():
    leaking = ("One black cat and some dogs sit on that mat.", "One black cat and some dogs sits on that mat.")
    first, last, held_out = (
        tuple(sentence.replace(word, "") for sentence in leaking) for word in ("black ", "some ", "that ")
    )
    kept, group = apart([first, leaking, last], [held_out], 0.85)
    assert kept.tolist() == [0, 2]
    assert group[0] != group[1]
    _, group = apart([first, leaking, last], [], 0.85)
    assert len({*group}) == 1


@pytest.mark.parametrize("near", [0.7, None])
def test_nothing_is_in_no_group_and_like_nothing(near):
    assert [its.tolist() for its in apart([], [ONE], near)] == [[], []]
    assert [len(its) for its in apart([ONE], [ONE], near)] == [0, 0]


def test_a_sentence_that_was_written_in_hundreds_of_ways_is_still_like_the_one_held_out():
    """The chain of all of them is too long to be a group."""
    before = "An old man sat on that bench by the river."
    others = [f"{letter}at{end}" for letter in "bcdfghjklm" for end in "abcdefghijklmno"]
    changes = [ONE, *((before, before.replace("sat", other)) for other in others)]
    held_out = [("An old man sat on this bench by the river.", "An old man sit on this bench by the river.")]
    assert apart(changes, held_out, 0.7)[0].tolist() == [0]
    assert len(apart(changes, held_out, None)[0]) == 151


def test_the_least_sure_are_nearest_to_the_operating_point_in_log_odds():
    scores = np.array([1.0, 0.5, 0.93, 0.999, 0.85, 0.0])
    assert least_sure(scores, 0.9, np.arange(6), 6).tolist() == [2, 4, 1, 3, 0, 5]  # 0.999 is further off than 0.5
    assert least_sure(scores, 0.9, np.arange(6), 2).tolist() == [2, 4]


def test_of_a_group_only_the_least_sure_is_labelled():
    scores = np.array([0.6, 0.5, 0.7, 0.52])
    assert least_sure(scores, 0.5, np.array([7, 7, 8, 9]), 3).tolist() == [1, 3, 2]
    assert least_sure(scores[:0], 0.5, np.array([]), 3).tolist() == []
