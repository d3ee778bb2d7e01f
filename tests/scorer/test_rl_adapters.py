"""verl and OpenRLHF call the reward as their own reward managers do: by these names, with these values."""

import inspect
import json

import numpy as np
import pytest
import torch

from fluency import FluencyReward
from fluency.scorer.rl_adapters import for_openrlhf, for_openrlhf_url, for_verl, for_verl_batched

BEFORE, AFTER = ["the cat sat", "a cat", "the dog"], ["the cat sits", "a cat", ""]
WRITTEN = [f"<think>hm</think>{after}" for after in AFTER]


@pytest.fixture(scope="module")
def expected(scorer):
    return [scorer.score(BEFORE[0], AFTER[0]), 1.0, 0.0]


def test_verl_scores_one_completion(scorer, expected):
    """As `NaiveRewardManager` calls it, by keyword."""
    compute_score = for_verl(FluencyReward(scorer))
    names = [name for name, its in inspect.signature(compute_score).parameters.items() if its.kind != its.VAR_KEYWORD]
    assert names == ["data_source", "solution_str", "ground_truth", "extra_info"]
    found = [
        compute_score(data_source="sample", solution_str=text, ground_truth=None, extra_info={"before": before, "i": 1})
        for before, text in zip(BEFORE, WRITTEN, strict=True)
    ]
    assert found == pytest.approx(expected, abs=1e-5)
    assert all(type(value) is float for value in found)


def test_verl_scores_a_batch(scorer, expected):
    """As `BatchRewardManager` calls it; what is not of the batch as a list comes as an array of objects."""
    extra = np.array([{"before": before} for before in BEFORE], dtype=object)
    compute_score = for_verl_batched(FluencyReward(scorer))
    sources = np.array(["sample"] * 3, dtype=object)
    found = compute_score(data_sources=sources, solution_strs=WRITTEN, ground_truths=[None] * 3, extra_infos=extra)
    assert found == pytest.approx(expected, abs=1e-5)
    assert all(type(value) is float for value in found)


def test_verl_may_replace_a_part(scorer):
    compute_score = for_verl(FluencyReward(scorer, before="sentence", part="part"))
    extra = {"sentence": "cat cat", "part": "cat", "occurrence": 1, "prompts": "?", "completions": "?", "self": 1, 2: 3}
    assert compute_score("", "dog", "", extra) == pytest.approx(scorer.score("cat cat", "cat dog"), abs=1e-5)


def test_verl_is_told_what_a_row_lacks_and_a_row_at_fault_earns_nothing(scorer):
    for extra in (None, {"index": 3}):
        with pytest.raises(ValueError, match="before: the data set has no column 'before'"):
            for_verl(FluencyReward(scorer))("", "a cat", "", extra)
    assert for_verl(FluencyReward(scorer))("", "a cat", "", {"before": ""}) == 0.0


def test_openrlhf_scores_queries_without_their_prompts(scorer, expected):
    prompts = [f"Correct: {before}\n" for before in BEFORE]
    queries = [prompt + text for prompt, text in zip(prompts, WRITTEN, strict=True)]
    found = for_openrlhf(FluencyReward(scorer, unscorable=-1.0))(queries, prompts, BEFORE)
    assert set(found) == {"rewards", "scores", "extra_logs"}
    assert found["rewards"].tolist() == pytest.approx([*expected[:2], -1.0], abs=1e-5)
    assert found["scores"].tolist() == pytest.approx(expected, abs=1e-5)
    assert found["rewards"].dtype == torch.float32
    assert found["extra_logs"]["fluency/copied"] == torch.tensor(1 / 3)


@pytest.mark.parametrize(
    "end",
    [
        "<|im_end|>",
        "<|eot_id|>\n",
        "</s>",
        "<\uff5cend\u2581of\uff5c>",
        "<end_of_turn>",
        "",
        "<|im_end|>\n<|endoftext|><|endoftext|>",
        "</s><pad><pad>",
    ],
)
def test_openrlhf_decodes_with_special_tokens_and_other_blanks(scorer, expected, end):
    """As its `SingleTurnAgentExecutor` does; a tokenizer of word pieces puts blanks where there were none."""
    prompts = [f"<s>[INST]Correct: {before}[/INST]" for before in BEFORE]
    queries = [f"<s>[INST] Correct: {before} [/INST] {text}{end}" for before, text in zip(BEFORE, WRITTEN, strict=True)]
    found = for_openrlhf(FluencyReward(scorer))(queries, prompts, BEFORE)
    assert found["rewards"].tolist() == pytest.approx(expected, abs=1e-5)


def test_openrlhf_is_told_of_a_prompt_that_was_cut_off_and_of_labels_that_are_none(scorer):
    reward_func = for_openrlhf(FluencyReward(scorer))
    with pytest.raises(ValueError, match="queries: one does not have its prompt"):
        reward_func(["t: a cat a cat"], ["Correct: a cat"], ["a cat"])
    with pytest.warns(UserWarning, match="labels: some are empty and earn 0; --label_key"):
        assert reward_func(["Correct: a cat"], ["Correct:"], [""])["rewards"].tolist() == [0.0]


def test_openrlhf_gets_the_same_of_a_server(scorer, expected):
    """As `SingleTurnAgentExecutor` asks one by HTTP, and its own `serve_rm` answers: lists, a log's too."""
    request = {"query": [f"Correct: {text}" for text in WRITTEN], "prompts": ["Correct:"] * 3, "labels": BEFORE}
    answer = for_openrlhf_url(FluencyReward(scorer, unscorable=-1.0))
    found = json.loads(json.dumps(answer(json.loads(json.dumps(request))), allow_nan=False))
    assert found["rewards"] == pytest.approx([*expected[:2], -1.0], abs=1e-5)
    assert found["scores"] == pytest.approx(expected, abs=1e-5)
    assert found["extra_logs"]["fluency/copied"] == pytest.approx([1 / 3] * 3)


def test_openrlhf_has_no_place_for_a_part(scorer):
    with pytest.raises(ValueError, match="part: OpenRLHF gives one label a row"):
        for_openrlhf(FluencyReward(scorer, part="part"))
