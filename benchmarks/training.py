"""Training speed: the reference's way, a script with dynamic padding, and ours, on the same pairs and model.

Run `dvc repro build_pairs fetch_model` first (`make bench` after `make repro` needs nothing). Each way takes whole
optimiser steps at the recipe's batch; the ways take turns, and the median of the rounds counts.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from tqdm import trange
from transformers import PreTrainedModel

from fluency.encoding import Encoded, collate, encode, load_tokenizer
from fluency.files import read_parquet, write_json
from fluency.hardware import device_at_hand
from fluency.params import load_params
from fluency.sampling import GlobalBatchSampler
from fluency.training import new_classifier

BASE, PAIRS, RESULT = Path("models/base"), Path("data/pairs/train.parquet"), Path("benchmarks/training.json")
ROUNDS, STEPS = 5, {"padded to 512": 2, "dynamic padding": 20, "ours": 20, "ours, bf16": 20}

Batch = dict[str, torch.Tensor]


def main() -> None:
    params = load_params().train
    device, tokenizer = device_at_hand(bf16_wanted=params.bf16), load_tokenizer(BASE)
    pairs = read_parquet(PAIRS)
    before, after = ([pair[side] for pair in pairs] for side in ("before", "after"))
    encoded = [
        item | {"labels": pair["label"]}
        for item, pair in zip(encode(tokenizer, before, after, max_length=512), pairs, strict=True)
    ]
    edits = [frozenset((pair["before"], pair["after"])) for pair in pairs]
    size, pad = params.per_device_train_batch_size, tokenizer.pad_token_id
    rng = random.Random(params.seed)
    shuffled = rng.sample(range(len(pairs)), len(pairs))
    ours = list(GlobalBatchSampler([len(item["input_ids"]) for item in encoded], edits, global_batch=size, seed=1))

    def padded(rows: list[Encoded]) -> Batch:
        longest = {name: [0] * 512 for name in rows[0] if name != "labels"} | {"labels": 0}
        return {name: tensor[:-1] for name, tensor in collate([*rows, longest], pad).items()}

    def dynamic(rows: list[Encoded]) -> Batch:
        return collate(rows, pad)

    def batches(order: list[int], make: Callable[[list[Encoded]], Batch]) -> Iterator[Batch]:
        while True:
            for start in range(0, len(order) - size, size):
                yield make([encoded[row] for row in order[start : start + size]])

    def model(dropout: float) -> PreTrainedModel:
        return new_classifier(BASE, tokenizer, dropout)

    ways = {
        "padded to 512": _stepper(model(0.1), batches(shuffled, padded), "adamw_torch", False),
        "dynamic padding": _stepper(model(0.1), batches(shuffled, dynamic), "adamw_torch", False),
        "ours": _stepper(model(params.dropout), batches(ours, dynamic), params.optim, device.bf16),
        "ours, bf16": _stepper(model(params.dropout), batches(ours, dynamic), params.optim, True),
    }
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for round_ in trange(ROUNDS + 1, desc="rounds"):
        for way, step in ways.items():
            start = time.perf_counter()
            for _ in range(STEPS[way]):
                step()
            if round_:  # the first warms up
                speeds[way].append(STEPS[way] * size / (time.perf_counter() - start))
    median = {way: statistics.median(values) for way, values in speeds.items()}
    result = {
        "device": str(device),
        "torch": torch.__version__,
        "pairs": len(pairs),
        "pairs_per_second": {way: round(value, 1) for way, value in median.items()},
        "ours_times": {way: round(median["ours"] / value, 1) for way, value in median.items() if way != "ours"},
    }
    write_json(RESULT, result)
    for way, value in median.items():
        print(f"{way:16} {value:8.1f} pairs/s   ours is {median['ours'] / value:.1f} x")


def _stepper(model: PreTrainedModel, batches: Iterator[Batch], optim: str, bf16: bool) -> Callable[[], None]:
    """One optimiser step of the recipe on the next batch."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-5, weight_decay=0.001, fused=optim.endswith("fused"))

    def step() -> None:
        batch = {name: tensor.to(device) for name, tensor in next(batches).items()}
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()

    return step


if __name__ == "__main__":
    main()
