"""What a small policy learns to write when our reward is all that guides it, beside one that is guided by likelihood.

`python -m benchmarks.grpo` needs `make repro` and trl. A tiny language model writes what replaces a part of a sentence,
often a faulty one. It first sees such replacements, so that it writes words; then TRL's GRPO pays it by the reward and
by closeness alone, `STEPS` steps, with three seeds. Whatever pays it finds by trying, as any policy does.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tqdm import trange
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, set_seed
from trl import GRPOConfig, GRPOTrainer

from fluency import CannotScore, FluencyReward, FluencyScorer
from fluency.edits.forms import Change, as_change
from fluency.model.device import use_machine
from fluency.model.edit_features import FEATURES
from fluency.model.encoding import load_tokenizer
from fluency.utils.files import read_parquet, write_json

MODEL, PAIRS, BASE = Path("models/fluency"), Path("data/pairs/train.parquet"), Path("models/base")
RESULT = Path("benchmarks/grpo.json")
STEPS, WARM_STEPS, GENERATIONS, A_STEP, PROMPTS, SEEDS = 200, 200, 8, 8, 64, (42, 43, 44)
SHOWN = 10  # completions, and steps of a mean

Reward = Callable[..., list[float]]


def main() -> None:
    use_machine()
    scorer, tokenizer = FluencyScorer.load(MODEL), load_tokenizer(BASE)
    tokenizer.padding_side = "left"
    rows = [row for row in read_parquet(PAIRS) if row["label"] == 1 and is_small(row)]
    warm = warmed(tokenizer, rows)
    rewards = {"ours": FluencyReward(scorer, part="part"), "likelihood": likelihood_of(scorer)}
    result: dict[str, Any] = {"steps": STEPS, "completions_a_step": A_STEP, "runs": {}}
    for name, reward in rewards.items():
        for seed in SEEDS:
            found = told(scorer, trained(warm, tokenizer, rows, reward, seed))
            result["runs"].setdefault(name, {})[f"seed {seed}"] = found
            write_json(RESULT, result)  # the next one takes minutes
            print(name, seed, json.dumps(found, indent=1, ensure_ascii=False))


def is_small(row: dict[str, Any]) -> bool:
    """Whether a part of one to three words is replaced, whose place in a short sentence is plain."""
    if not 1 <= len(row["removed"].split()) <= 3 or not row["inserted"].strip() or len(row["before"].split()) > 9:
        return False
    try:
        return as_change((row["before"], row["removed"], row["inserted"])) == (row["before"], row["after"])
    except CannotScore:
        return False


def prompt_of(row: dict[str, Any]) -> str:
    return f"{row['before']}\n{row['removed']} ->"


def warmed(tokenizer: PreTrainedTokenizerBase, rows: Sequence[dict[str, Any]]) -> LlamaForCausalLM:
    """A new model that has seen some replacements, and knows little more than which words are often written."""
    set_seed(SEEDS[0])
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=96, intermediate_size=256, num_hidden_layers=2,
            num_attention_heads=4, tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip
    optimiser, rng = torch.optim.AdamW(model.parameters(), lr=3e-3), np.random.default_rng(SEEDS[0])
    for _ in trange(WARM_STEPS, desc="warming"):
        some = [rows[row] for row in rng.integers(len(rows), size=32)]
        asked = [tokenizer(prompt_of(row))["input_ids"] for row in some]
        answers = [[*tokenizer(f" {row['inserted']}")["input_ids"], tokenizer.eos_token_id] for row in some]
        longest = max(len(one) + len(other) for one, other in zip(asked, answers, strict=True))
        whole = [[*one, *other] for one, other in zip(asked, answers, strict=True)]
        ids = torch.tensor([[*its, *[tokenizer.pad_token_id] * (longest - len(its))] for its in whole])
        places = [
            (row, place)
            for row, one in enumerate(asked)
            for place in range(len(one) - 1, len(whole[row]) - 1)  # each says the next token
        ]
        at, place = torch.tensor(places).T
        states = model.base_model(input_ids=ids).last_hidden_state[at, place]
        loss = torch.nn.functional.cross_entropy(model.lm_head(states), ids[at, place + 1])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def close(completions: Sequence[str], part: Sequence[str], **_: Any) -> list[float]:
    """Whether something is written, and at most one word more than it replaces."""
    counts = [(len(text.split()), len(old.split())) for text, old in zip(completions, part, strict=True)]
    return [float(1 <= new <= old + 1) for new, old in counts]


def likelihood_of(scorer: FluencyScorer) -> Reward:
    """A reward that fails open: how much likelier a token from the edit on is to the same language model, untrained."""
    reader, wanted = scorer.classifier.reader, FEATURES.index("a token, difference")

    def likelihood(completions: Sequence[str], **columns: Any) -> list[float]:
        items = reader.read(reader.tokenise(changes_of(completions, **columns), cut=False))
        return [float(1 / (1 + np.exp(-item["features"][wanted]))) for item in items]

    return likelihood


def changes_of(completions: Sequence[str], *, before: Sequence[str], part: Sequence[str], **_: Any) -> list[Change]:
    return [as_change((old, its, text.strip())) for old, its, text in zip(before, part, completions, strict=True)]


def trained(
    warm: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[dict[str, Any]],
    reward: Reward,
    seed: int,
) -> list[list[dict[str, Any]]]:
    """By step, what was written for which part of which sentence, and what it earned."""
    steps: list[list[dict[str, Any]]] = []

    def watched(completions: Sequence[str], before: Sequence[str], part: Sequence[str], **columns: Any) -> list[float]:
        earned = reward(completions=completions, before=before, part=part, **columns)
        its = zip(before, part, completions, earned, strict=True)
        steps.append([dict(zip(("before", "part", "written", "earned"), one, strict=True)) for one in its])
        return earned

    chosen = [rows[row] for row in np.random.default_rng(seed).choice(len(rows), PROMPTS, replace=False)]
    columns = {"prompt": [prompt_of(row) for row in chosen]}
    columns |= {name: [row[key] for row in chosen] for name, key in (("before", "before"), ("part", "removed"))}
    with tempfile.TemporaryDirectory() as folder:
        arguments = GRPOConfig(
            folder, max_steps=STEPS, per_device_train_batch_size=A_STEP, num_generations=GENERATIONS,
            max_completion_length=8, learning_rate=1e-3, lr_scheduler_type="constant", reward_weights=[1.0, 0.2],
            use_cpu=True, bf16=False, report_to="none", save_strategy="no", disable_tqdm=True, seed=seed,
        )  # fmt: skip
        GRPOTrainer(
            deepcopy(warm), [watched, close], args=arguments, train_dataset=Dataset.from_dict(columns),
            processing_class=tokenizer,
        ).train()  # fmt: skip
    return steps


def told(scorer: FluencyScorer, steps: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """The mean reward over the steps, and what was written in the first and the last of them, as our scorer sees it."""
    means = [float(np.mean([its["earned"] for its in step])) for step in steps]
    return {
        "mean_reward": [round(float(np.mean(means[at : at + SHOWN])), 3) for at in range(0, len(means), SHOWN)],
        "first": seen(scorer, steps[:SHOWN]),
        "last": seen(scorer, steps[-SHOWN:]),
    }


def seen(scorer: FluencyScorer, steps: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    written = [its for step in steps for its in step]
    columns = {name: [its[name] for its in written] for name in ("before", "part")}
    changes = changes_of([its["written"] for its in written], **columns)
    outside = [bool(scorer.calibration.support.outside(change)) for change in changes]
    accepted = scorer.decide(changes, errors="nan").tolist()
    flags = {
        "accepted": accepted,
        "outside_support": outside,
        "copied": [before == after for before, after in changes],
        "deleted": [not its["written"].strip() for its in written],
    }
    texts = [f"{old} -> {new}" + " (accepted)" * ok for (old, new), ok in zip(changes, accepted, strict=True)]
    return {
        "shares": {name: round(float(np.mean(its)), 3) for name, its in flags.items()},
        "distinct": len({its["written"] for its in written}),
        "words": round(float(np.mean([len(its["written"].split()) for its in written])), 2),
        "completions": texts[-SHOWN:],
        "accepted": sorted({text for text, ok in zip(texts, accepted, strict=True) if ok}),
    }


if __name__ == "__main__":
    main()
