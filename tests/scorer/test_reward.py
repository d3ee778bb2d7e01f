"""A reward is the score of what a language model wrote, and TRL trains by it."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Lock
from time import sleep

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluency import FluencyScorer
from fluency.evaluation.monitor import Monitor
from fluency.evaluation.support import Support
from fluency.scorer.completion import written_text
from fluency.scorer.reward import FluencyReward
from tests.helpers.models import LONG, untrained

SENTENCES = ["the cat sat", "the cat saw the cat", "a cat"]
WRITTEN = ["the cat sits", "the cat saw a cat", "a dog"]


@pytest.fixture(scope="module")
def scorer(tiny_model, tmp_path_factory):
    return FluencyScorer.load(untrained(tiny_model, tmp_path_factory.mktemp("models")) / "fluency", bf16=False)


def as_messages(text):
    return [{"role": "assistant", "content": text}]


@pytest.mark.parametrize("form", [str, as_messages])
def test_a_completion_earns_its_score(scorer, form):
    reward = FluencyReward(scorer)
    completions = [form(f" {text}\n") for text in WRITTEN]
    earned = reward(prompts=["rewrite"] * 3, completions=completions, before=SENTENCES, completion_ids=[[1]] * 3)
    assert earned == scorer.score_edits(zip(SENTENCES, WRITTEN, strict=True)).tolist()


def test_a_completion_may_replace_a_part(scorer):
    reward = FluencyReward(scorer, before="original_sentence", part="inappropriate_part")
    columns = {"original_sentence": SENTENCES, "inappropriate_part": ["sat", "cat", "a "]}
    earned = reward(["rewrite"] * 3, ["sits", "dog", "the"], **columns, occurrence=[None, 1, None])
    after = ["the cat sits", "the cat saw the dog", "the cat"]
    assert earned == scorer.score_edits(zip(SENTENCES, after, strict=True)).tolist()


@pytest.mark.parametrize("nothing", ["", " \n", "\u200b", "<think>Leave it out.</think>"])
def test_to_delete_the_part_earns_the_floor(scorer, nothing):
    """Or a policy learns to write nothing; the row at fault is still told."""
    reward = FluencyReward(scorer, part="part", unscorable=-1.0)
    columns = {"before": ["the cat sat", "the cat saw the cat", "a cat"], "part": ["sat", "cat", "dog"]}
    earned, accepted = reward.judged([""] * 3, [nothing] * 3, **columns, occurrence=[None, 1, None])
    assert earned == [-1.0, -1.0, None]
    assert accepted == [False] * 3


CALL = {"role": "assistant", "content": None, "tool_calls": [{"name": "look_up"}]}
HINT = {"role": "tool", "content": SENTENCES[0]}


def parts(*texts):
    return [{"role": "assistant", "content": [{"type": "text", "text": text} for text in texts]}]


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ([*as_messages("let me think"), HINT, *as_messages("a cat")], "a cat"),
        ([*as_messages("a cat"), HINT], "a cat"),
        ([CALL, HINT], None),
        ([HINT], None),
        ([{"role": "user", "content": "a cat"}], None),
        (parts("a ", None, "cat"), "a cat"),
        (parts(None), None),
        (
            [{"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "a"}]}],
            "a",
        ),
        ([{"role": "assistant", "content": np.array([{"type": "text", "text": "a"}])}], "a"),
        ([{"role": "assistant", "content": {"type": "text", "text": "a"}}], "a"),
        ([{"role": "assistant", "content": 7}], None),
        ({"content": "a"}, None),
        (None, None),
        ("<think>why\nnot</think>\n\na cat ", "a cat"),
        ("<think>why</think> a <THINK>again</THINK>cat", "a cat"),
        ("why not</think>a cat", "a cat"),
        ("<think>a <think>b</think> c</think> a cat", "a cat"),
        ("<thinking>why</thinking>a cat", "a cat"),
        ("a cat <think>but wait", "a cat"),
        ("<think>never ends", ""),
        (as_messages("<think>why</think>a cat"), "a cat"),
    ],
)
def test_only_what_the_model_wrote_for_its_reader_counts(completion, text):
    assert written_text(completion) == text


def test_a_tools_message_and_a_thought_earn_nothing(scorer):
    completions = [[CALL, HINT], [HINT], as_messages(f"<think>{SENTENCES[0]}"), as_messages(None)]
    assert FluencyReward(scorer)([""] * 4, completions, before=SENTENCES[:1] * 4) == [0.0] * 4


def test_how_a_text_is_found_can_be_chosen(scorer):
    reward = FluencyReward(scorer, completion_text=lambda completion: completion.partition("Answer: ")[2] or None)
    assert reward([""] * 2, ["Hm. Answer: a cat", "a cat"], before=["a cat"] * 2) == [1.0, 0.0]


@given(blanks=st.lists(st.sampled_from([" ", "\n", "  ", "\u00a0", "\n\n\t"]), min_size=12, max_size=12))
def test_a_copy_earns_all_whatever_blanks_are_in_it_or_in_the_sentence(scorer, blanks):
    words = ["the", "cat", "sat"]
    one, other = ("".join(map("".join, zip(words, gaps, strict=True))) for gaps in (blanks[:3], blanks[3:6]))
    completions = [one, other, f"{blanks[6]}{other}"]
    assert FluencyReward(scorer)([""] * 3, completions, before=[one] * 3) == [1.0] * 3


def test_a_part_is_replaced_whatever_blanks_are_around_it(scorer):
    columns = {"before": ["the cat sat"] * 2, "part": ["cat", "cat "]}
    assert len(set(FluencyReward(scorer, part="part")([""] * 2, ["dog", " dog\n"], **columns))) == 1


@pytest.mark.parametrize("part", ["the caf\u00e9", "the cafe\u0301", "the\ncaf\u00e9", "the caf\u00e9\u200b"])
def test_a_part_is_found_in_the_normal_form_of_its_sentence(scorer, part):
    """A page has another blank before a word, or an accent as a mark of its own; the row is not at fault."""
    columns = {"before": ["we met in the\u00a0caf\u00e9 and sat"], "part": [part]}
    earned = FluencyReward(scorer, part="part")([""], ["the house"], **columns)
    assert earned == [scorer.score("we met in the caf\u00e9 and sat", "we met in the house and sat")]
    assert FluencyReward(scorer, part="part")([""], ["a"], before=["the cat"], part=["dog"]) == [None]


def test_columns_may_be_arrays_and_series(scorer):
    reward = FluencyReward(scorer, part="part")
    rows = {"before": ["the cat saw the cat", "a cat", None], "part": ["cat", "cat", "cat"]}
    expected = reward([""] * 3, ["dog"] * 3, **rows, occurrence=[1, None, 0])
    assert expected[2] is None
    assert None not in expected[:2]
    counts = [
        np.array([1.0, np.nan, 0.0]),
        pd.Series([1, None, 0], dtype="Int64"),
        pd.Series([1.0, None, 0.0]),
        pa.chunked_array([[1, None], [0]]),
    ]
    forms = [
        partial(np.array, dtype=object),
        *[partial(pd.Series, dtype=object)] * 2,
        lambda its: pa.chunked_array([its]),
    ]
    for form, occurrence in zip(forms, counts, strict=True):
        columns = {name: form(values) for name, values in rows.items()}
        found = reward(np.array([""] * 3), form(["dog"] * 3), **columns, occurrence=occurrence)
        assert found == pytest.approx(expected)


def test_an_edit_outside_support_earns_the_floor(scorer):
    support = Support(0.99, {"words": (1, 9), "characters": (0, 99), "changed": (0, 1), "share": (0, 1)})
    narrow = FluencyScorer(scorer.classifier, replace(scorer.calibration, support=support))
    earned = FluencyReward(narrow, unscorable=-1.0)(
        [""] * 2, ["a dog runs", "the cat sits"], before=["the cat sat"] * 2
    )
    assert earned == pytest.approx([-1.0, scorer.score("the cat sat", "the cat sits")], abs=1e-5)


def test_what_is_worth_watching_goes_to_trls_log(scorer):
    support = Support(0.99, {"words": (1, 9), "characters": (0, 99), "changed": (0, 1), "share": (0, 1)})
    narrow = FluencyScorer(scorer.classifier, replace(scorer.calibration, support=support, threshold=0.0))
    metrics, extra = {}, {}
    FluencyReward(narrow, name="grammar")(
        [""] * 4, ["the cat sat\n", "", "a dog runs", "the cat sits"], before=["the cat sat"] * 4,
        log_metric=metrics.__setitem__, log_extra=extra.__setitem__,
    )  # fmt: skip
    assert metrics == {
        "grammar/copied": 0.25,
        "grammar/outside_support": 0.25,
        "grammar/refused": 0.5,
        "grammar/drift": 0,
    }
    (reasons,) = extra.values()
    assert list(extra) == ["grammar_reason"]
    assert [reason.partition(";")[0] for reason in reasons] == ["", "after: empty", "outside support", ""]


def test_completions_unlike_validation_are_told_by_an_attribute_and_in_trls_log(scorer):
    reward = FluencyReward(FluencyScorer(scorer.classifier, replace(scorer.calibration, reference=LONG)))
    metrics = {}
    reward([""], WRITTEN[:1], before=SENTENCES[:1], log_metric=metrics.__setitem__)
    assert (reward.drift, metrics["fluency/drift"]) == ("", 0)
    reward([""] * 40, SENTENCES[:1] * 40, before=SENTENCES[:1] * 40)  # copies are no edits
    several = [f"{WRITTEN[0]} {end}" for end in ("a", "the", "in", "is", "sat", "saw")]
    reward([""] * 6, several, before=SENTENCES[:1] * 6)
    assert reward.drift == ""  # of the completions of a sentence, one counts in each call
    sentences = [f"{one} {other}" for one in SENTENCES for other in ("sat", "saw", "runs", "is", "in")]
    reward([""] * 15, [f"{its} a" for its in sentences], before=sentences, log_metric=metrics.__setitem__)
    assert "after 17 edits" in reward.drift
    assert "too many have at most 50 words" in reward.drift
    assert metrics["fluency/drift"] == 1


def test_threads_that_share_a_reward_show_its_monitor_one_batch_after_the_other(scorer, monkeypatch):
    at_work, together = Lock(), []

    class Slow(Monitor):
        def update(self, values):
            together.append(not at_work.acquire(blocking=False))
            sleep(0.02)
            super().update(values)
            if not together[-1]:
                at_work.release()

    monkeypatch.setattr("fluency.scorer.reward.Monitor", Slow)
    reward = FluencyReward(scorer)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: reward([""] * 3, WRITTEN, before=SENTENCES), range(8)))
    assert together == [False] * 8


def test_two_rewards_have_two_names(scorer):
    assert [FluencyReward(scorer).__name__, FluencyReward(scorer, name="grammar").__name__] == ["fluency", "grammar"]


@pytest.mark.parametrize("unscorable", [0.0, -1.0, None])
def test_what_has_no_score_earns_what_was_chosen(scorer, unscorable):
    reward = FluencyReward(scorer, unscorable=unscorable)
    completions = ["", "the " * 600, "a\0b", [{"role": "assistant", "tool_calls": []}], [], None, "a cat"]
    earned = reward([""] * 7, completions, before=["a cat"] * 7)
    assert earned == [unscorable] * 6 + [1.0]


def test_a_row_that_no_completion_could_be_scored_for_is_left_out(scorer):
    """TRL then warns and shows the row; a reward would blame the model."""
    assert FluencyReward(scorer)([""] * 3, ["a cat"] * 3, before=["", None, "a\0b"]) == [None] * 3
    assert FluencyReward(scorer)([""], ["a cat"], before=["\u200b"]) == [None]
    reward = FluencyReward(scorer, part="part")
    assert reward([""] * 2, ["a", "a"], before=["a cat", "a cat saw a cat"], part=["dog", "cat"]) == [None] * 2


def test_a_missing_column_is_told_with_those_there(scorer):
    given = {"completion_ids": [[1]], "trainer_state": object(), "sentence": ["a"], "label": [1]}
    with pytest.raises(ValueError, match=r"before: the data set has no column 'before' .*, but sentence, label; name"):
        FluencyReward(scorer)([""], ["a"], **given)
    with pytest.raises(ValueError, match="part: the data set has no column 'word'"):
        FluencyReward(scorer, before="sentence", part="word")([""], ["a"], **given)


def test_what_does_not_fit_together_is_refused(scorer):
    with pytest.raises(ValueError, match="before: 2 values of 'before' for 1 completions"):
        FluencyReward(scorer)([""], ["a"], before=["a", "b"])
    with pytest.raises(ValueError, match="occurrence: 2 values of 'occurrence' for 1 completions"):
        FluencyReward(scorer, part="part")([""], ["a"], before=["a b"], part=["b"], occurrence=[0, 1])
    with pytest.raises(TypeError, match=r"scorer: expected a FluencyScorer, found 'models/fluency'; .*load makes one"):
        FluencyReward("models/fluency")


def test_a_reward_is_pickled_without_the_weights(scorer):
    pickled = pickle.dumps(FluencyReward(scorer, before="sentence"))
    assert len(pickled) < 1000
    again = pickle.loads(pickled)  # noqa: S301
    assert again([""], WRITTEN[:1], sentence=SENTENCES[:1]) == [scorer.score(SENTENCES[0], WRITTEN[0])]


def test_rewards_are_light_to_import():
    code = "import fluency.scorer.reward, sys; sys.exit(bool({'torch', 'trl', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("conversational", [False, True])
def test_grpo_trains_by_it(scorer, tiny_model, tmp_path, conversational):
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed
    from trl import GRPOConfig, GRPOTrainer

    set_seed(0)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny_model, eos_token="[SEP]")  # noqa: S106
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }} {% endfor %}"
    config = LlamaConfig(
        vocab_size=1000, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    untrained_head = model.lm_head.weight.detach().clone()
    prompts = [f"Rewrite: {sentence}" for sentence in SENTENCES]
    if conversational:
        prompts = [[{"role": "user", "content": prompt}] for prompt in prompts]
    earned = []

    class Watched(FluencyReward):
        def __call__(self, *args, **columns):
            rewards = super().__call__(*args, **columns)
            earned.append(sum(rewards) / len(rewards))
            return rewards

    arguments = GRPOConfig(
        tmp_path, max_steps=2, per_device_train_batch_size=4, num_generations=4, max_completion_length=8,
        use_cpu=True, bf16=False, report_to="none", logging_steps=1, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    rows = Dataset.from_dict({"prompt": prompts, "before": SENTENCES})
    trainer = GRPOTrainer(model, Watched(scorer), args=arguments, train_dataset=rows, processing_class=tokenizer)
    trainer.train()

    assert any("fluency/copied" in entry for entry in trainer.state.log_history)
    logged = [entry["rewards/fluency/mean"] for entry in trainer.state.log_history if "rewards/fluency/mean" in entry]
    assert len(logged) == 2
    assert logged == pytest.approx(earned)
    assert all(0 < mean < 1 for mean in logged)
    assert not trainer.model.lm_head.weight.equal(untrained_head)
