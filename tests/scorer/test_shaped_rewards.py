"""A reward is awaited, opens a gate for others, pays for more than copying, or does not lean to a length."""

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fluency import FluencyReward, FluencyScorer
from fluency.evaluation.support import Support
from fluency.scorer.shaped_rewards import awaited, gated, length_neutral

SENTENCE = "the cat sat"
WRITTEN = ["the cat sat", "the cat sits", "a dog runs in the house", ""]


def at(scorer, threshold):
    return FluencyScorer(scorer.classifier, replace(scorer.calibration, threshold=threshold))


def earned(reward, written=WRITTEN, **columns):
    return reward([""] * len(written), written, before=[SENTENCE] * len(written), **columns)


@pytest.fixture(scope="module")
def scores(scorer):
    return earned(FluencyReward(scorer))


def test_an_awaited_reward_gives_the_same_and_leaves_the_loop_to_others(scorer, scores):
    threads = []

    class Watched(FluencyReward):
        def __call__(self, *args, **columns):
            threads.append(threading.current_thread())
            return super().__call__(*args, **columns)

    reward = awaited(Watched(scorer, name="grammar"))

    async def both():
        return await asyncio.gather(earned(reward), earned(reward))

    assert asyncio.run(both()) == [scores, scores]
    assert threading.main_thread() not in threads
    assert reward.__name__ == "grammar"


def test_trl_takes_it_for_an_async_function(scorer):
    from trl.trainer.utils import is_async_callable

    assert is_async_callable(awaited(FluencyReward(scorer)))
    assert not is_async_callable(FluencyReward(scorer))


def test_others_count_only_where_the_reward_accepts(scorer, scores):
    def short(prompts, completions, **columns):
        assert columns["before"] == [SENTENCE] * 4
        return [None if len(text) == len(SENTENCE) else 10.0 for text in completions]

    def one(**_):
        return [1.0] * 4

    threshold = (scores[1] + scores[2]) / 2
    low, high = (1, 2) if scores[1] < scores[2] else (2, 1)
    found = earned(gated(FluencyReward(at(scorer, threshold)), short, one))
    assert found[high] == scores[high] + 11.0
    assert [found[low], found[3]] == [scores[low], 0.0]
    assert gated(FluencyReward(scorer)).__name__ == "gated_fluency"
    assert earned(gated(FluencyReward(at(scorer, 0.0)), short, one))[1:3] == [value + 11.0 for value in scores[1:3]]
    assert earned(gated(FluencyReward(at(scorer, 0.0)), lambda **_: [None] * 4)) == scores  # a None counts nothing


def test_what_others_give_may_be_an_array_or_a_tensor(scorer):
    reward = FluencyReward(at(scorer, 0.0))
    expected = earned(gated(reward, lambda **_: [0.5] * 4))
    for form in (np.array, torch.tensor, pd.Series):
        found = earned(gated(reward, lambda form=form, **_: form([0.5] * 4)))
        assert (found, {*map(type, found)}) == (expected, {float})


def test_a_reward_is_shaped_once(scorer):
    gate = gated(FluencyReward(scorer))
    for shape in (gated, length_neutral):
        with pytest.raises(TypeError, match="reward: expected a FluencyReward, found <function"):
            shape(gate)


def test_what_a_gate_adds_is_not_awaited(scorer):
    reward = FluencyReward(scorer)
    with pytest.raises(TypeError, match="fluency is async"):
        gated(reward, awaited(reward))

    class Other:
        async def __call__(self, **_):
            return [1.0] * 4

    with pytest.raises(TypeError, match=r"Other object at .* is async"):
        gated(reward, Other())

    async def awaits():
        return await earned(awaited(gated(reward)))

    assert asyncio.run(awaits()) == earned(gated(reward))


@pytest.mark.parametrize("copied", [0.005, 0.01, 1.0])
def test_a_copy_opens_no_gate_whatever_it_earns(scorer, copied):
    found = earned(gated(FluencyReward(at(scorer, 0.01), copied=copied), lambda **_: [1.0] * 4))
    assert found[0] == copied
    assert min(found[1:3]) > 1


def test_what_has_no_score_or_is_outside_support_opens_no_gate_whatever_it_earns(scorer):
    narrow = Support(0.99, {"words": (1, 9), "characters": (0, 99), "changed": (0, 1), "share": (0, 1)})
    sure = FluencyScorer(scorer.classifier, replace(scorer.calibration, threshold=0.0, support=narrow))
    found = earned(gated(FluencyReward(sure, unscorable=0.5), lambda **_: [1.0] * 4))
    assert found[1] > 1
    assert found[2:] == [0.5, 0.5]


@pytest.mark.parametrize("blank", ["", " ", "\u200b"])
def test_no_refused_edit_earns_as_much_as_a_copy_at_the_operating_point(scorer, scores, blank):
    threshold = (scores[1] + scores[2]) / 2
    reward = FluencyReward(at(scorer, threshold), copied=threshold)
    copy, *edits = earned(reward, [f"{SENTENCE}{blank}", *WRITTEN[1:3]])
    assert copy == threshold
    assert [value > copy for value in edits] == [score > threshold for score in scores[1:3]]


class Leaning(FluencyReward):
    """A reward of given values, which accepts all from its operating point on."""

    values = (0.9, 0.8, 0.7, 0.1, None)

    def judged(self, *_, **__):
        least = self.scorer.calibration.threshold
        return list(self.values), [value is not None and value >= least for value in self.values]


def test_among_what_is_accepted_length_earns_nothing_and_the_rest_stays(scorer):
    written = ["the cat", "the cat sat", "the cat sat in", "the house " * 5, "the house"]
    found = earned(length_neutral(Leaning(at(scorer, 0.5))), written)
    assert found[3:] == [0.1, None]
    lengths = [len(text) for text in written[:3]]
    assert np.cov(lengths, found[:3])[0, 1] == pytest.approx(0, abs=1e-12)
    assert np.mean(found[:3]) == pytest.approx(0.8)


@pytest.mark.parametrize("values", [(0.79, 0.99, 0.99, 0.99, 0.79), (1.0, 0.99, 0.99, 0.99, 1.0), (0.79,) * 5])
def test_what_is_accepted_earns_from_the_operating_point_to_all_and_still_nothing_by_length(scorer, values):
    reward = Leaning(at(scorer, 0.79))
    reward.values = values
    written = ["a", "the cat", "the cat", "the cat", " ".join(["the house"] * 20)]
    found = earned(length_neutral(reward), written)
    assert min(found) >= 0.79
    assert max(found) <= 1
    assert np.mean(found) == pytest.approx(np.mean(values))
    assert np.cov([len(text) for text in written], found)[0, 1] == pytest.approx(0, abs=1e-12)


def test_copies_do_not_tilt_the_line(scorer, scores):
    """All that earn 1 and are as long as their sentence would draw the line to it."""
    edits = [*WRITTEN[1:3], "the cat"]
    neutral = length_neutral(FluencyReward(at(scorer, 0.0)))
    among_copies = earned(neutral, [*edits, *[SENTENCE] * 9])
    assert among_copies == pytest.approx([*earned(neutral, edits), *[1.0] * 9])


def test_columns_may_be_series_of_any_index(scorer):
    columns = [pd.Series(its, index=range(7, 11)) for its in (WRITTEN, [SENTENCE] * 4)]
    neutral = length_neutral(FluencyReward(at(scorer, 0.0)))
    assert neutral([""] * 4, columns[0], before=columns[1]) == earned(neutral)


def test_length_is_that_of_the_part_where_a_part_is_replaced(scorer):
    reward = Leaning(at(scorer, 0.5), part="part")
    reward.values = (0.9, 0.7)
    columns = {"before": [SENTENCE] * 2, "part": ["cat", "the cat"]}
    assert length_neutral(reward)([""] * 2, ["dog", "a dog!!"], **columns) == [0.9, 0.7]


def test_nothing_accepted_changes_nothing(scorer):
    reward = Leaning(at(scorer, 1.0))
    assert earned(length_neutral(reward), [*WRITTEN, ""]) == list(Leaning.values)


def test_what_is_logged_is_the_rewards_own(scorer):
    metrics = {}
    earned(length_neutral(FluencyReward(scorer)), log_metric=metrics.__setitem__)
    assert metrics.keys() == {"fluency/copied", "fluency/drift", "fluency/outside_support", "fluency/refused"}
