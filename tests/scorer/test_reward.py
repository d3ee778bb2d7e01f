"""A reward is the score of what a language model wrote, and TRL trains by it."""

import pickle
import subprocess
import sys

import pytest

from fluency import FluencyScorer
from fluency.scorer.reward import FluencyReward
from tests.helpers.models import untrained

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
    earned = reward(["rewrite"] * 3, ["sits", "dog", ""], **columns, occurrence=[None, 1, None])
    after = ["the cat sits", "the cat saw the dog", "cat"]
    assert earned == scorer.score_edits(zip(SENTENCES, after, strict=True)).tolist()


def test_the_last_message_counts(scorer):
    reward = FluencyReward(scorer)
    completion = [*as_messages("let me think"), {"role": "tool", "content": "a hint"}, *as_messages(WRITTEN[0])]
    assert reward([""], [completion], before=SENTENCES[:1]) == [scorer.score(SENTENCES[0], WRITTEN[0])]


def test_the_text_of_a_message_may_come_in_parts(scorer):
    content = [{"type": "text", "text": part} for part in (WRITTEN[0][:5], WRITTEN[0][5:])]
    earned = FluencyReward(scorer)([""], [[{"role": "assistant", "content": content}]], before=SENTENCES[:1])
    assert earned == [scorer.score(SENTENCES[0], WRITTEN[0])]


def test_copying_earns_all(scorer):
    assert FluencyReward(scorer)([""], [" a cat "], before=["a cat"]) == [1.0]


@pytest.mark.parametrize("unscorable", [0.0, -1.0, None])
def test_what_has_no_score_earns_what_was_chosen(scorer, unscorable):
    reward = FluencyReward(scorer, unscorable=unscorable)
    completions = ["", "the " * 600, "a\0b", [{"role": "assistant", "tool_calls": []}], [], None, "a cat"]
    earned = reward([""] * 7, completions, before=["a cat"] * 7)
    assert earned == [unscorable] * 6 + [1.0]


def test_a_row_that_no_completion_could_be_scored_for_is_left_out(scorer):
    """TRL then warns and shows the row; a reward would blame the model."""
    assert FluencyReward(scorer)([""] * 3, ["a cat"] * 3, before=["", None, "a\0b"]) == [None] * 3
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

    logged = [entry["rewards/fluency/mean"] for entry in trainer.state.log_history if "rewards/fluency/mean" in entry]
    assert len(logged) == 2
    assert logged == pytest.approx(earned)
    assert all(0 < mean < 1 for mean in logged)
    assert not trainer.model.lm_head.weight.equal(untrained_head)
