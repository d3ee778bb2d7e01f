"""An edit head's figures are what their names say, and a long sentence is read around its edit."""

import numpy as np
import pytest

from fluency.model.edit_features import FEATURES, STATES, features, states
from fluency.model.edit_reader import EditReader
from fluency.model.likelihood import Side, shared_ends
from fluency.model.params import EncodeParams
from tests.helpers.language_models import WIDTH
from tests.model.conftest import CPU

CHANGE = ("She goes to the market by bus.", "She go to the market by bus.")
LONG = [f"word{number}" for number in range(60)]


def side(log_probs: list[float], changed: int, state: float = 0.0) -> Side:
    mean = np.full(WIDTH, state, dtype=np.float32)
    return Side(np.array(log_probs, dtype=np.float32), np.arange(len(log_probs)), changed, 5, mean, 2 * mean)


def test_each_figure_is_what_its_name_says():
    before, after = side([-1, -2, -4, -8, -16, -32], changed=2), side([-64, -3, -5, -7, -9], changed=1)
    expected = {
        "log p of the tokens that differ": (-63, -88),
        "a token": (-63 / 6, -88 / 5),
        "of those changed": (-3, -64),
        "a changed token": (-1.5, -64),
        "of those that follow": (-12, -8),
        "of the rest": (-48, -16),
        "least of all": (-32, -64),
        "least of those changed": (-2, -64),
        "changed tokens": (np.log(3), np.log(2)),
        "tokens": (np.log(11), np.log(10)),
        "rareness of the changed tokens": (np.log(100) + np.log(101), np.log(100)),
        "a changed token's": ((np.log(100) + np.log(101)) / 2, np.log(100)),
        "the rarest's": (np.log(101), np.log(100)),
    }
    wanted = {f"{name}, difference": other - one for name, (one, other) in expected.items()}
    wanted |= {f"{name}, after": other for name, (_, other) in expected.items()} | {"tokens shared": np.log(5)}
    found = features(before, after, following=2).tolist()
    assert dict(zip(FEATURES, found, strict=True)) == pytest.approx(wanted)
    assert np.isfinite(features(side([], 0), after, following=2)).all()


def test_states_are_those_of_both_sides_and_the_difference_after_the_edit():
    found = dict(zip(STATES, states(side([-1], 1, 3.0), side([-1], 1, 10.0))[:, 0].tolist(), strict=True))
    assert found == {"at the edit before": 3.0, "at the edit after": 10.0, "after the edit, difference": 14.0}


def test_the_reverse_of_an_edit_changes_the_sign_of_the_differences_and_swaps_the_states(reader):
    forth, back = reader.read(reader.tokenise([CHANGE, CHANGE[::-1]], cut=True))
    assert (forth["features"].shape, forth["features"].dtype) == ((len(FEATURES),), np.float32)
    assert (forth["states"].shape, forth["states"].dtype) == ((len(STATES), WIDTH), np.float16)
    for name, one, other in zip(FEATURES, forth["features"], back["features"], strict=True):
        assert one == -other != 0 or not name.endswith(", difference"), name
    assert forth["features"][-1] == back["features"][-1]
    assert (forth["states"] == back["states"][[1, 0, 2]] * np.array([[1], [1], [-1]])).all()
    assert forth["states"].any(1).all()


def test_edits_read_together_are_each_in_its_place_as_if_read_alone(reader):
    other, same = ("She goes home.", "He goes home."), ("It rains.", "It rains.")
    changes = [CHANGE, other, CHANGE[::-1], same, CHANGE, (CHANGE[0], other[1]), other[::-1]]
    items = reader.tokenise(changes, cut=True)
    for item, together in zip(items, reader.read(items), strict=True):
        (alone,) = reader.read([item])
        for name, value in alone.items():
            assert together[name] == pytest.approx(value, rel=2e-3, abs=2e-3), name


@pytest.mark.parametrize("place", [0, 1, 30, 58, 59])
@pytest.mark.parametrize("words", [[], ["changed"], ["changed", "too"]])
def test_a_long_sentence_is_cut_around_the_edit_alike_on_both_sides(language_model, place, words):
    reader = EditReader(language_model, CPU, EncodeParams(max_length=16, layer=1, following=2))
    pair = " ".join(LONG), " ".join([*LONG[:place], *words, *LONG[place + 1 :]])
    for edit in (pair, pair[::-1]):
        (whole,), (cut,) = reader.tokenise([edit], cut=False), reader.tokenise([edit], cut=True)
        kept, _ = shared_ends(cut["before"], cut["after"])
        start = shared_ends(whole["before"], whole["after"])[0] - kept
        assert reader.length(whole) > 100
        assert cut == {name: tokens[start : start + 16] for name, tokens in whole.items()}
        assert cut["before"] != cut["after"]
        assert 1 <= kept <= 8
        (read,) = reader.read([cut])
        assert all(np.isfinite(values).all() for values in read.values())


def test_a_sentence_that_just_fits_is_read_whole(language_model, reader):
    (whole,) = reader.tokenise([CHANGE], cut=False)
    for most in (reader.length(whole), reader.length(whole) - 1):
        other = EditReader(language_model, CPU, EncodeParams(max_length=most, layer=1, following=2))
        assert (other.tokenise([CHANGE], cut=True) == [whole]) == (most == reader.length(whole))
