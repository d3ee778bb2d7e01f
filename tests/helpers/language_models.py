"""A tiny causal language model as fetch_model leaves it, and a folder in which an edit head is trained with it."""

import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from fluency.corpus.rows import SPLITS
from fluency.utils.files import sha256, write_json
from tests.conftest import ROOT

LAYERS, WIDTH = 3, 32
_CORRECTED = {
    "She go home.": "She goes home.",
    "He gave apple to the man.": "He gave an apple to the man.",
    "They finished finished their homework.": "They finished their homework.",
    "There is many reasons.": "There are many reasons.",
    "I like it when goes he by bus.": "I like it when he goes by bus.",
    "In 2024 there were 2024, in 2023 there were 2023 of it.": "In 2024 there were 2024, in 2023 there were 2023.",
}
PAIRS = [
    {"id": before, "before": before, "after": after, "label": label, "group": good, "part": "part"}
    for bad, good in _CORRECTED.items()
    for before, after, label in ((bad, good, 1), (good, bad, 0))
]
CHANGES = [(pair["before"], pair["after"]) for pair in PAIRS]


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 300 tokens, <s> the first of them."""
    tokenizer, level = Tokenizer(models.BPE()), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer, tokenizer.decoder = level, decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>"], initial_alphabet=sorted(level.alphabet()))
    tokenizer.train_from_iterator(_CORRECTED.values(), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict.fromkeys(("bos_token", "eos_token"), "<s>"))


def random_llama(seed: int = 0) -> PreTrainedModel:
    """A random Llama whose weights are large enough that any mistake shows."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=300, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=LAYERS, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True, initializer_range=0.2,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def fetched(folder: Path, *, seed: int = 0) -> Path:
    """Write a random language model to `folder`, with its manifest."""
    random_llama(seed).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    write_json(folder / "manifest.json", {"kind": "edit_head", "files": files})
    return folder


def head_project(folder: Path, base: Path, **changes: Any) -> Path:
    """Make a folder with models/base, data/pairs and params.yaml, its blocks `train` and `edit_head` changed."""
    shutil.copytree(base, folder / "models/base")
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    (folder / "data/pairs").mkdir(parents=True)
    for split in SPLITS:
        pq.write_table(pa.Table.from_pylist(PAIRS), folder / f"data/pairs/{split}.parquet")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    own = {"hidden_size": 8, "per_device_train_batch_size": 2, "num_train_epochs": 3, "num_processes": 2} | changes
    for block in ("train", "edit_head"):
        params[block] |= {name: value for name, value in own.items() if name in params[block]}
    params["evaluate"]["resamples"] = 100
    params["encode"] = {"max_length": 64, "layer": 2, "following": 4, "keep_unseen": False}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return folder


def run_stages(folder: Path, *names: str) -> None:
    """Run stages in this process, in `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["stage"])
        patch.setenv("WANDB_PROJECT", "")  # training sets it; afterwards it is as it was
        for name in names:
            import_module(f"stages.{name}").main()
