"""Training speed: the reference's way, a script with dynamic padding, and ours, on the same pairs and model.

`make bench` measures MiniLM as a cross-encoder on the pairs of the pipeline (`make repro` makes them), and a small
ModernBERT with random weights, whose pairs can also be packed without padding; `make bench-gpu` measures a
ModernBERT-large, for a machine with a GPU. The ways take turns, whole optimiser steps each, and the median of the
rounds counts. Dynamic padding and ours then train on, until their validation losses compare.
"""

import argparse
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from tqdm import trange
from transformers import ModernBertConfig, ModernBertForSequenceClassification, PreTrainedModel

from benchmarks.packing import ATTENTION, pack, packed_logits
from benchmarks.variants import MINILM
from fluency.model.device import device_at_hand, use_cores
from fluency.model.encoded_pairs import Item
from fluency.model.encoding import COMPILED_LENGTHS, PairReader, collate, load_tokenizer
from fluency.sources.model import fetch_model
from fluency.training.new_model import new_cross_encoder
from fluency.training.sampler import GlobalBatchSampler
from fluency.training.trainer import mean_loss
from fluency.utils.files import read_parquet, write_json

PAIRS, RESULTS = Path("data/pairs"), Path("benchmarks")
FURTHER = ("dynamic padding", "ours")  # train on after the rounds
MODERNBERTS = {
    "small": {"vocab_size": 30522, "hidden_size": 256, "intermediate_size": 384, "num_hidden_layers": 4,
              "num_attention_heads": 4},
    "large": {"hidden_size": 1024, "intermediate_size": 2624, "num_hidden_layers": 28, "num_attention_heads": 16},
}  # fmt: skip

Batch = dict[str, Any]  # tensors, and of packed pairs a number


@dataclass(frozen=True)
class Way:
    """A way to train: `lengths` it pads to (none: our step of 8), whether it groups pairs of similar length, the mode
    of torch.compile, if any, and whether it packs pairs instead of padding them."""

    steps: int
    lengths: Sequence[int]
    grouped: bool
    dropout: float
    optim: str
    bf16: bool
    batch: int = 8
    compiled: str | None = None
    packed: bool = False


def ways(*, gpu: bool, modernbert: bool) -> dict[str, Way]:
    """What is compared. On GPUs all compute in bfloat16, as the reference does; a ModernBERT can take packed pairs."""
    exact = range(1, 513)
    reference = Way(20 if gpu else 2, [512], False, 0.1, "adamw_torch", gpu)
    script = Way(40, exact, False, 0.1, "adamw_torch_fused", gpu)
    ours = Way(40, (), True, 0.0, "adamw_torch_fused", gpu)
    found = {"padded to 512": reference, "dynamic padding": script, "ours": ours}
    if modernbert:
        found["packed"] = replace(ours, packed=True)
    few_lengths = replace(ours, lengths=COMPILED_LENGTHS, bf16=True)
    if not gpu and modernbert:
        return found | {f"{name}, batch 64": replace(found[name], batch=64, steps=10) for name in ("ours", "packed")}
    if not gpu:
        return found | {"ours, bf16": few_lengths}
    found["ours, compiled"] = replace(few_lengths, compiled="default")  # what train.torch_compile does
    found["ours, CUDA graphs"] = replace(few_lengths, compiled="reduce-overhead")
    for batch in (64, 256):
        large = {f"{name}, batch {batch}": replace(way, batch=batch) for name, way in found.items() if way.batch == 8}
        found |= large
    return found


class Data:
    """Encoded pairs, and endless batches of them."""

    def __init__(self, split: str, pad_token_id: int, tokenizer: Any) -> None:
        pairs = read_parquet(PAIRS / f"{split}.parquet")
        changes = [(pair["before"], pair["after"]) for pair in pairs]
        encoded = PairReader(tokenizer, max_length=512).tokenise(changes, cut=True)
        self.rows: list[Item] = [
            {"input_ids": item["input_ids"], "attention_mask": item["attention_mask"], "labels": pair["label"]}
            for item, pair in zip(encoded, pairs, strict=True)
        ]
        self.corpora = {pair["corpus"] for pair in pairs}
        numbers: dict[frozenset[str], int] = {}
        self.edits = [numbers.setdefault(frozenset(change), len(numbers)) for change in changes]
        self.pad = pad_token_id

    def batches(self, way: Way) -> Iterator[Batch]:
        order = random.Random(1).sample(range(len(self.rows)), len(self.rows))
        if way.grouped:
            lengths = [len(row["input_ids"]) for row in self.rows]
            batches = GlobalBatchSampler(lengths, self.edits, batch=way.batch, global_batch=way.batch, seed=1)
            order = [row for batch in batches for row in batch]
        while True:
            for start in range(0, len(order) - way.batch + 1, way.batch):
                yield self.batch([self.rows[row] for row in order[start : start + way.batch]], way)

    def batch(self, rows: Sequence[Item], way: Way) -> Batch:
        return pack(rows) if way.packed else collate(rows, self.pad, lengths=way.lengths)


class Run:
    """One way, with a model and an optimiser of its own."""

    def __init__(self, way: Way, model: PreTrainedModel, data: Data, device: str) -> None:
        self.way, self.model, self.device, self.batches = way, model.to(device).train(), device, data.batches(way)
        self.called = torch.compile(self.model, mode=way.compiled, dynamic=False) if way.compiled else self.model
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=3e-5, weight_decay=0.001, fused=way.optim.endswith("fused")
        )
        self.taken = 0
        self.flops: dict[tuple[int, ...], int] = {}

    def loss(self, batch: Batch) -> torch.Tensor:
        batch = self._here(batch)
        labels = batch.pop("labels")
        with torch.autocast(self.device, torch.bfloat16, enabled=self.way.bf16):
            return mean_loss({"logits": self._logits(self.called, batch)}, labels)

    def _here(self, batch: Batch) -> Batch:
        tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
        return batch | {name: tensor.to(self.device, non_blocking=True) for name, tensor in tensors.items()}

    def _logits(self, model: Callable[..., Any], inputs: Batch) -> torch.Tensor:
        return packed_logits(model, **inputs) if self.way.packed else model(**inputs).logits

    def steps(self) -> tuple[float, int]:
        """Take the way's steps; returns seconds and the floating point operations of their matrix products."""
        batches = [next(self.batches) for _ in range(self.way.steps)]
        start = time.perf_counter()
        for batch in batches:
            self.loss(batch).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
        wait(self.device)
        self.taken += len(batches)
        return time.perf_counter() - start, sum(self._flops(batch) for batch in batches)

    def _flops(self, batch: Batch) -> int:
        shape = tuple(batch["input_ids"].shape)
        if shape not in self.flops:
            inputs = {name: value for name, value in self._here(batch).items() if name != "labels"}
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                self._logits(self.model, inputs)
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
            total += float(mean_loss({"logits": self._logits(self.model, batch)}, labels)) * len(labels)
        return total / len(rows)


@dataclass(frozen=True)
class Measured:
    """Medians over the rounds; memory in GiB, None on a CPU."""

    pairs_per_second: float
    flops_per_second: float
    steps: int
    loss: float
    memory: float | None


def measure(runs: dict[str, Run], validation: Data, rounds: int, loss_steps: int) -> dict[str, Measured]:
    """Let the runs take turns for so many rounds, after one that warms up; `FURTHER` train on to `loss_steps`."""
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    turns = trange(rounds + 1, desc=", ".join(runs))
    taken = [{name: run.steps() for name, run in runs.items()} for _ in turns][1:]
    memory = round(torch.cuda.max_memory_allocated() / 2**30, 2) if cuda else None
    for name in filter(runs.__contains__, FURTHER):
        while runs[name].taken < loss_steps:
            runs[name].steps()
    return {
        name: Measured(
            statistics.median(run.way.steps * run.way.batch / turn[name][0] for turn in taken),
            statistics.median(turn[name][1] / turn[name][0] for turn in taken),
            run.taken,
            round(run.validation_loss(validation), 4),
            memory,
        )
        for name, run in runs.items()
    }


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


def import_seconds() -> float:
    """Seconds until a new process has all that training needs; the best of three."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import fluency.training.trainer"], check=True)
        taken.append(time.perf_counter() - start)
    return round(min(taken), 1)


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
    device, threads = device_at_hand(), use_cores()
    base = fetch_model(*MINILM).root
    tokenizer = load_tokenizer(base)
    start = time.perf_counter()
    train, validation = (Data(split, tokenizer.pad_token_id, tokenizer) for split in ("train", "validation"))
    tokenised = time.perf_counter() - start

    def model(way: Way) -> PreTrainedModel:
        torch.manual_seed(1)
        if shape:
            config = ModernBertConfig(**MODERNBERTS[shape], pad_token_id=tokenizer.pad_token_id, num_labels=2)
            config._attn_implementation = ATTENTION if way.packed else "sdpa"
            return ModernBertForSequenceClassification(config)
        return new_cross_encoder(base, tokenizer.pad_token_id, way.dropout)

    compared = ways(gpu=device.type == "cuda", modernbert=shape is not None)
    torch._dynamo.config.recompile_limit = 2 * len(COMPILED_LENGTHS)
    # one after the other where memory counts, in turns where other work on the machine would favour one
    turns = [[name] for name in compared] if device.type == "cuda" else [list(compared)]
    measured: dict[str, Measured] = {}
    for names in turns:
        measured |= measure({name: Run(compared[name], model(compared[name]), train, device.type) for name in names},
                            validation, chosen.rounds, chosen.loss_steps)  # fmt: skip
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
        "start_seconds": {"import": import_seconds(), "tokenise": round(tokenised, 1)},
        "matrix_peak_gflops": {name.removeprefix("torch."): round(value / 1e9) for name, value in peak.items()},
        "pairs_per_second": {name: round(value, 1) for name, value in speed.items()},
        "ours_times": {name: round(speed["ours"] / value, 1) for name, value in speed.items() if name != "ours"},
        "gflops": {name: round(found.flops_per_second / 1e9) for name, found in measured.items()},
        "share_of_matrix_peak": {name: round(value, 3) for name, value in share.items()},
        "validation_loss": {name: {"steps": found.steps, "loss": found.loss} for name, found in measured.items()},
        "peak_memory_gib": {name: found.memory for name, found in measured.items() if found.memory},
    }
    write_json(RESULTS / (f"modernbert_{shape}.json" if shape else "training.json"), result)
    for name, found in measured.items():
        print(
            f"{name:28} {speed[name]:8.1f} pairs/s   ours is {speed['ours'] / speed[name]:5.1f} x   "
            f"{share[name]:5.1%} of the matrix peak   loss {found.loss:.4f} after {found.steps} steps"
        )


if __name__ == "__main__":
    main()
