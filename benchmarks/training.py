"""Training speed: the reference's way, a script with dynamic padding, and ours, on the same pairs and model.

`make bench` measures MiniLM as a cross-encoder on the pairs of the pipeline (`make repro` makes them), and a small
ModernBERT with random weights, whose pairs can also be packed without padding; `make bench-gpu` measures a
ModernBERT-large, for a machine with a GPU. The ways take turns, whole optimiser steps each, and the median of the
rounds counts. With MiniLM, dynamic padding and ours then train on, until their validation losses compare.
"""

import argparse
import gc
import platform
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from tqdm import trange
from transformers import ModernBertConfig, ModernBertForSequenceClassification, PreTrainedModel

from benchmarks.packing import ATTENTION, pack, packed_logits
from benchmarks.variants import MINILM
from fluency.model.device import device_at_hand, use_machine
from fluency.model.encoded_pairs import Item
from fluency.model.encoding import STATIC_LENGTHS, PairReader, collate, load_tokenizer
from fluency.sources.model import fetch_model
from fluency.training.gpu_steps import StepGraphs, compile_layers
from fluency.training.new_model import new_cross_encoder
from fluency.training.objective import mean_loss
from fluency.training.sampler import GlobalBatchSampler, TokenBatchSampler
from fluency.utils.files import read_parquet, write_json

PAIRS, RESULTS = Path("data/pairs"), Path("benchmarks")
MAX_LENGTH = 512
FURTHER = ("dynamic padding", "ours")  # train on after the rounds
MODERNBERTS = {
    "small": {"vocab_size": 30522, "hidden_size": 256, "intermediate_size": 384, "num_hidden_layers": 4,
              "num_attention_heads": 4},
    "large": {"hidden_size": 1024, "intermediate_size": 2624, "num_hidden_layers": 28, "num_attention_heads": 16},
}  # fmt: skip

Batch = dict[str, Any]  # tensors, and of packed pairs a number


@dataclass(frozen=True)
class Way:
    """A way to train.

    Attributes:
        lengths: what it pads to; none: our step of 8.
        grouped: whether pairs of similar length make a batch.
        batch: pairs of a batch.
        tokens: instead, tokens of a batch with their padding.
        cuda_graphs: whether its steps run as CUDA graphs.
        compiled: whether the model's layers are compiled.
        packed: whether pairs are packed instead of padded.
        filled: tokens to which pairs are filled up with those that come next in the corpus.
    """

    steps: int
    lengths: Sequence[int]
    grouped: bool
    dropout: float
    optim: str
    bf16: bool
    batch: int = 8
    tokens: int | None = None
    cuda_graphs: bool = False
    compiled: bool = False
    packed: bool = False
    filled: int = 0


def ways(*, gpu: bool, modernbert: bool) -> dict[str, Way]:
    """What is compared. On GPUs all compute in bfloat16, as the reference does; a ModernBERT can take packed pairs."""
    exact = range(1, MAX_LENGTH + 1)
    reference = Way(20 if gpu else 2, [MAX_LENGTH], False, 0.1, "adamw_torch", gpu)
    script = Way(20 if gpu else 40, exact, False, 0.1, "adamw_torch_fused", gpu)
    plain = replace(script, lengths=(), grouped=True, dropout=0.0)
    packed = replace(plain, packed=True)
    found = {"padded to 512": reference, "dynamic padding": script}
    if not gpu and modernbert:
        found |= {"ours": plain, "packed": packed}
        return found | {f"{name}, batch 64": replace(found[name], batch=64, steps=10) for name in ("ours", "packed")}
    if not gpu:
        return found | {"ours": plain, "ours, bf16": replace(plain, lengths=STATIC_LENGTHS, bf16=True)}
    ours = replace(plain, steps=40, lengths=STATIC_LENGTHS, cuda_graphs=True)
    large = {"tokens": 32768, "steps": 10}
    compiled = replace(ours, compiled=True, **large)
    return found | {
        "ours": ours,
        "packed": packed,
        "ours, compiled, 32768 tokens": compiled,
        "ours, compiled, 32768 tokens, 128 a pair": replace(compiled, filled=127),  # and one of padding
        "packed, 32768 tokens": replace(packed, **large),
    }


class Data:
    """Encoded pairs, and endless batches of them."""

    def __init__(self, split: str, pad_token_id: int, tokenizer: Any) -> None:
        pairs = read_parquet(PAIRS / f"{split}.parquet")
        changes = [(pair["before"], pair["after"]) for pair in pairs]
        encoded = PairReader(tokenizer, max_length=MAX_LENGTH).tokenise(changes, cut=True)
        self.rows: list[Item] = [
            {"input_ids": item["input_ids"], "attention_mask": item["attention_mask"], "labels": pair["label"]}
            for item, pair in zip(encoded, pairs, strict=True)
        ]
        self.corpora = {pair["corpus"] for pair in pairs}
        numbers: dict[frozenset[str], int] = {}
        self.edits = [numbers.setdefault(frozenset(change), len(numbers)) for change in changes]
        self.pad = pad_token_id

    def batches(self, way: Way) -> Iterator[Batch]:
        rows = [filled(self.rows, row, way.filled) for row in range(len(self.rows))] if way.filled else self.rows
        if way.grouped:
            lengths = [len(row["input_ids"]) for row in rows]
            if way.tokens:
                sampler = partial(TokenBatchSampler, tokens=way.tokens, max_length=MAX_LENGTH)
            else:
                sampler = partial(GlobalBatchSampler, batch=way.batch)
            epoch = list(sampler(lengths, self.edits, batches=1, seed=1))
        else:
            order = random.Random(1).sample(range(len(rows)), len(rows))
            epoch = [order[start : start + way.batch] for start in range(0, len(order) - way.batch + 1, way.batch)]
        for batch in cycle(epoch):
            yield self.batch([rows[row] for row in batch], way)

    def batch(self, rows: Sequence[Item], way: Way) -> Batch:
        return pack(rows) if way.packed else collate(rows, self.pad, lengths=way.lengths)


class Run:
    """One way, with a model and an optimiser of its own."""

    def __init__(self, way: Way, model: PreTrainedModel, data: Data, device: str) -> None:
        self.way, self.model, self.device, self.data = way, model.to(device).train(), device, data
        self.batches = data.batches(way)
        if way.compiled:
            compile_layers(model)
        self.step = StepGraphs(self.gradients, model.parameters()) if way.cuda_graphs else self.gradients
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=3e-5, weight_decay=0.001, fused=way.optim.endswith("fused")
        )
        self.taken = 0
        self.flops: dict[tuple[int, ...], int] = {}

    def gradients(self, batch: Batch) -> torch.Tensor:
        """Add the gradients of a batch; returns its loss."""
        batch = self._here(batch)
        labels = batch.pop("labels")
        loss = mean_loss({"logits": self._logits(batch)}, labels)
        loss.backward()
        return loss.detach()

    def _here(self, batch: Batch) -> Batch:
        tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
        return batch | {name: tensor.to(self.device, non_blocking=True) for name, tensor in tensors.items()}

    def _logits(self, inputs: Batch) -> torch.Tensor:
        with torch.autocast(self.device, torch.bfloat16, enabled=self.way.bf16):
            return packed_logits(self.model, **inputs) if self.way.packed else self.model(**inputs).logits

    def warm_up(self) -> None:
        """Take a turn; CUDA graphs then two steps of each shape, so that none is compiled or recorded later."""
        self.steps()
        seen: Counter[torch.Size] = Counter()
        epoch = islice(self.data.batches(self.way), len(self.data.rows) // self.way.batch)  # one at least
        for batch in epoch if self.way.cuda_graphs else ():
            shape = batch["input_ids"].shape
            if seen[shape] < 2:
                self._take([batch])
            seen[shape] += 1

    def steps(self) -> tuple[float, int, int, int]:
        """Take a turn.

        Returns:
            Seconds, pairs, tokens without padding, and floating point operations of matrix products.
        """
        batches = [next(self.batches) for _ in range(self.way.steps)]
        start = time.perf_counter()
        self._take(batches)
        seconds = time.perf_counter() - start
        pairs = sum(len(batch["labels"]) for batch in batches)
        return seconds, pairs, sum(map(tokens, batches)), sum(self._flops(batch) for batch in batches)

    def _take(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self.step(batch)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
        wait(self.device)
        self.taken += len(batches)

    def _flops(self, batch: Batch) -> int:
        shape = tuple(batch["input_ids"].shape)
        if shape not in self.flops:
            inputs = {name: value for name, value in self._here(batch).items() if name != "labels"}
            eager = torch.compiler.set_stance("force_eager")  # the counter sees no operations of compiled layers
            with FlopCounterMode(display=False) as counter, torch.no_grad(), eager:
                self._logits(inputs)
            self.flops[shape] = 3 * counter.get_total_flops()  # backward costs twice the forward pass
        return self.flops[shape]

    @torch.no_grad()
    def validation_loss(self, data: Data) -> float:
        self.model.eval()
        rows = sorted(data.rows, key=lambda row: len(row["input_ids"]))
        total = 0.0
        for start in range(0, len(rows), 32):
            batch = self._here(data.batch(rows[start : start + 32], replace(self.way, lengths=())))
            labels = batch.pop("labels")
            total += float(mean_loss({"logits": self._logits(batch)}, labels)) * len(labels)
        return total / len(rows)


def tokens(batch: Batch) -> int:
    """Tokens of a batch that are no padding."""
    return int(batch["attention_mask"].sum()) if "attention_mask" in batch else batch["input_ids"].numel()


def filled(rows: Sequence[Item], row: int, tokens: int) -> Item:
    """A pair with so many tokens: its own, and those of the pairs that come next."""
    ids = islice((token for place in count(row) for token in rows[place % len(rows)]["input_ids"]), tokens)
    return {"input_ids": list(ids), "attention_mask": [1] * tokens, "labels": rows[row]["labels"]}


@dataclass(frozen=True)
class Measured:
    """Medians over the rounds, tokens without padding; memory in GiB, None on a CPU."""

    pairs_per_second: float
    tokens_per_second: float
    flops_per_second: float
    memory: float | None


def measure(runs: dict[str, Run], rounds: int) -> dict[str, Measured]:
    """Let the runs take turns for so many rounds, after they have warmed up."""
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    for run in runs.values():
        run.warm_up()
    turns = [{name: run.steps() for name, run in runs.items()} for _ in trange(rounds, desc=", ".join(runs))]
    memory = round(torch.cuda.max_memory_allocated() / 2**30, 2) if cuda else None
    return {
        name: Measured(
            *(statistics.median(turn[name][what] / turn[name][0] for turn in turns) for what in (1, 2, 3)),
            memory,
        )
        for name, run in runs.items()
    }


def loss_after(run: Run, steps: int, validation: Data) -> dict[str, float]:
    """Train on to so many steps; how many they were, and the validation loss then."""
    while run.taken < steps:
        run.steps()
    return {"steps": run.taken, "loss": round(run.validation_loss(validation), 4)}


def matrix_peak(device: str, dtype: torch.dtype) -> float:
    """The most FLOP/s that a large matrix product reaches here."""
    size = 8192 if device == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        left @ right
        wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def device_name(device: str) -> str:
    """The GPU, or the CPU and the vector instructions that torch uses there."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{(names or [platform.processor()])[0]}, {torch.backends.cpu.get_cpu_capability()}"


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modernbert", choices=MODERNBERTS, help="a ModernBERT of this shape, with random weights")
    parser.add_argument("--rounds", type=int, default=5, help="turns that are timed (%(default)s)")
    parser.add_argument("--loss-steps", type=int, default=1000, help="steps before losses compare (%(default)s)")
    chosen = parser.parse_args()
    shape = chosen.modernbert
    if shape == "large" and not torch.cuda.is_available():
        sys.exit("error: no GPU is here, and on a CPU a ModernBERT-large takes hours; run it where one is")
    transformers.utils.logging.set_verbosity_error()  # a new classification head is no news here
    device, threads = device_at_hand(), use_machine()
    base = fetch_model(*MINILM).root
    tokenizer = load_tokenizer(base)
    train, validation = (Data(split, tokenizer.pad_token_id, tokenizer) for split in ("train", "validation"))

    def model(way: Way) -> PreTrainedModel:
        torch.manual_seed(1)
        if shape:
            config = ModernBertConfig(**MODERNBERTS[shape], pad_token_id=tokenizer.pad_token_id, num_labels=2)
            config._attn_implementation = ATTENTION if way.packed else "sdpa"
            with torch.device(device.type):
                return ModernBertForSequenceClassification(config)
        return new_cross_encoder(base, tokenizer.pad_token_id, way.dropout)

    compared = ways(gpu=device.type == "cuda", modernbert=shape is not None)
    measured: dict[str, Measured] = {}
    losses: dict[str, dict[str, float]] = {}
    # one after the other where memory counts, in turns where other work on the machine would favour one
    for names in [[name] for name in compared] if device.type == "cuda" else [list(compared)]:
        runs = {name: Run(compared[name], model(compared[name]), train, device.type) for name in names}
        measured |= measure(runs, chosen.rounds)
        if not shape:  # what random weights have learnt by then says nothing
            losses |= {name: loss_after(runs[name], chosen.loss_steps, validation) for name in FURTHER if name in runs}
        del runs
        gc.collect()  # a run and its graphs hold each other, and memory is counted
    peak = {str(dtype): matrix_peak(device.type, dtype) for dtype in (torch.float32, torch.bfloat16)}
    speed = {name: found.pairs_per_second for name, found in measured.items()}
    share = {
        name: found.flops_per_second / peak[str(torch.bfloat16 if compared[name].bf16 else torch.float32)]
        for name, found in measured.items()
    }
    result = {
        "model": f"ModernBERT-{shape}, random weights" if shape else MINILM[0],
        "device": device_name(device.type),
        "threads": threads,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "corpus": ", ".join(sorted(train.corpora)),
        "pairs": len(train.rows),
        "tokens_per_pair": round(statistics.mean(len(row["input_ids"]) for row in train.rows), 1),
        "matrix_peak_gflops": {name.removeprefix("torch."): round(value / 1e9) for name, value in peak.items()},
        "rounds": chosen.rounds,
        "pairs_per_second": {name: round(value, 1) for name, value in speed.items()},
        "tokens_per_second": {name: round(found.tokens_per_second) for name, found in measured.items()},
        "ours_times": {name: round(speed["ours"] / value, 1) for name, value in speed.items() if name != "ours"},
        "gflops": {name: round(found.flops_per_second / 1e9) for name, found in measured.items()},
        "share_of_matrix_peak": {name: round(value, 3) for name, value in share.items()},
        "validation_loss": losses,
        "peak_memory_gib": {name: found.memory for name, found in measured.items() if found.memory},
    }
    write_json(RESULTS / (f"modernbert_{shape}.json" if shape else "training.json"), result)
    for name, found in measured.items():
        print(
            f"{name:42} {speed[name]:8.1f} pairs/s, {found.tokens_per_second:8.0f} tokens/s   "
            f"ours is {speed['ours'] / speed[name]:5.1f} x   {share[name]:5.1%} of the matrix peak"
        )
    for name, found in losses.items():
        print(f"{name:42} validation loss {found['loss']:.4f} after {found['steps']} steps")


if __name__ == "__main__":
    main()
