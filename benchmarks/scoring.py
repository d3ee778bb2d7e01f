"""Scoring speed: the reference's way, a transformers pipeline, and ours, with the same weights.

It measures a trained cross-encoder on the pipeline's pairs (`dvc exp run -S model.source=ENCODER` makes both). The ways
take turns, and the median of the rounds counts. The limit is what the machine's own matrix products would allow without
any padding.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from tqdm import trange
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from benchmarks.training import device_name, matrix_peak
from fluency import FluencyScorer
from fluency.edits.forms import Change
from fluency.metrics import point_metrics
from fluency.model.device import use_machine
from fluency.model.encoding import PairReader, collate
from fluency.utils.files import read_parquet, write_json

PAIRS = 3000
SHARE = {"one call a pair": 10, "pipeline, batches of 32": 4}  # the slow ways take every so many-th pair
LATENCY = 200  # calls

Score = Callable[[list[Change]], object]


def reference_way(folder: Path) -> Score:
    """One call a pair, as the reference's scorer does."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).to(_device()).eval()

    @torch.no_grad()
    def score(changes: list[Change]) -> None:
        for before, after in changes:
            inputs = tokenizer(before, after, truncation=True, max_length=512, return_tensors="pt").to(_device())
            torch.softmax(model(**inputs).logits, dim=-1).argmax(dim=-1).item()

    return score


def pipeline_way(folder: Path) -> Score:
    """The plain pipeline of transformers, in batches of 32 in the order given."""
    classify = pipeline("text-classification", model=str(folder), dtype=torch.float32, device=_device())
    return lambda changes: classify(
        [{"text": before, "text_pair": after} for before, after in changes], batch_size=32, truncation=True
    )


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _multiplies_in_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    at_hand = torch.cpu.get_capabilities()
    return any(at_hand.get(name) for name in ("avx512_bf16", "amx_bf16"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("models/fluency"), help="the model's folder (%(default)s)")
    parser.add_argument("--pairs", type=Path, default=Path("data/pairs"), help="the pairs' folder (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns that are timed (%(default)s)")
    chosen = parser.parse_args()
    threads = use_machine()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    rows = itertools.chain.from_iterable(
        read_parquet(chosen.pairs / f"{split}.parquet") for split in ("test", "validation", "train")
    )
    pairs = list(itertools.islice(rows, PAIRS))
    changes, labels = [(row["before"], row["after"]) for row in pairs], np.array([row["label"] for row in pairs])

    scorers = {"ours, float32": FluencyScorer.load(chosen.model, bf16=False)}
    if not isinstance(scorers["ours, float32"].classifier.reader, PairReader):
        sys.exit(f"error: {chosen.model} is no cross-encoder, which the other ways are for; name one with --model")
    if _multiplies_in_bf16():
        scorers["ours, bf16"] = FluencyScorer.load(chosen.model, bf16=True)
    slow = {"one call a pair": reference_way(chosen.model), "pipeline, batches of 32": pipeline_way(chosen.model)}
    ways: dict[str, Score] = slow | {name: scorer.score_edits for name, scorer in scorers.items()}

    speed = measured(ways, changes, chosen.rounds)
    floating = {name: torch.bfloat16 if name == "ours, bf16" else torch.float32 for name in speed}
    peak = {dtype: matrix_peak(_device(), dtype) for dtype in (torch.float32, torch.bfloat16)}
    tokens, flops = work(scorers["ours, float32"], changes)
    result = {
        "device": device_name(_device()),
        "threads": threads,
        "versions": {name: module.__version__ for name, module in (("torch", torch), ("transformers", transformers))},
        "corpora": dict(Counter(row["corpus"] for row in pairs)),
        "pairs": len(pairs),
        "tokens_per_pair": round(tokens, 1),
        "matrix_peak_gflops": {str(dtype).removeprefix("torch."): round(value / 1e9) for dtype, value in peak.items()},
        "pairs_per_second": {name: round(value, 1) for name, value in speed.items()},
        "times_one_call_a_pair": {name: round(value / speed["one call a pair"], 2) for name, value in speed.items()},
        "times_pipeline": {name: round(value / speed["pipeline, batches of 32"], 2) for name, value in speed.items()},
        "share_of_matrix_peak": {name: round(speed[name] * flops / peak[dtype], 3) for name, dtype in floating.items()},
        "milliseconds_of_one_pair": {name: latency(scorer, changes) for name, scorer in scorers.items()},
        "decisions": agreement(scorers, changes, labels),
        "seconds": start_seconds(chosen.model),
    }
    write_json("benchmarks/scoring.json", result)
    for name, value in speed.items():
        print(
            f"{name:24} {value:8.1f} pairs/s   {result['times_one_call_a_pair'][name]:5.2f} x one call a pair   "
            f"{result['times_pipeline'][name]:5.2f} x pipeline"
        )


def measured(ways: dict[str, Score], changes: list[Change], rounds: int) -> dict[str, float]:
    """Pairs per second of each way: the median over the rounds, after one that warms up."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in trange(rounds + 1, desc=", ".join(ways)):
        for name, score in ways.items():
            share = changes[:: SHARE.get(name, 1)]
            start = time.perf_counter()
            score(share)
            taken[name].append(len(share) / (time.perf_counter() - start))
    return {name: statistics.median(values[1:]) for name, values in taken.items()}


def work(scorer: FluencyScorer, changes: list[Change]) -> tuple[float, float]:
    """Mean tokens and floating-point operations of a pair, without padding."""
    reader = scorer.classifier.reader
    lengths = Counter(reader.length(item) for item in reader.tokenise(changes, cut=False))
    longest = collate(reader.tokenise([("a " * max(lengths), "a")], cut=False), 0)
    total = 0
    for length, count in lengths.items():
        inputs = {name: tensor[:, :length].to(_device()) for name, tensor in longest.items()}
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            scorer.classifier.model(**inputs)
        total += count * counter.get_total_flops()
    return sum(length * count for length, count in lengths.items()) / len(changes), total / len(changes)


def latency(scorer: FluencyScorer, changes: list[Change]) -> dict[str, float]:
    """The time that one call with one pair takes, in milliseconds."""
    taken = []
    for before, after in changes[:LATENCY]:
        start = time.perf_counter()
        scorer.score(before, after)
        taken.append(1000 * (time.perf_counter() - start))
    return {"p50": round(float(np.percentile(taken, 50)), 1), "p99": round(float(np.percentile(taken, 99)), 1)}


def agreement(scorers: dict[str, FluencyScorer], changes: list[Change], labels: np.ndarray) -> dict[str, object]:
    """Precision and recall of the decisions at the operating point, and how many are those of float32."""
    threshold = scorers["ours, float32"].calibration.threshold
    scores = {name: scorer.score_edits(changes) for name, scorer in scorers.items()}
    exact = scores["ours, float32"]
    found = {}
    for name, its in scores.items():
        accepted = its >= threshold
        point = point_metrics(accepted.astype(int), labels)
        found[name] = {
            "precision": round(point["precision"], 4),
            "recall": round(point["recall"], 4),
            "as_float32": round(float(np.mean(accepted == (exact >= threshold))), 4),
            "largest_difference": round(float(np.abs(its - exact).max()), 4),
        }
    return found


def start_seconds(folder: Path) -> dict[str, float]:
    """Seconds that a new process takes to import the scorer, and then to load the model; the best of three."""
    code = (
        "import time; start = time.perf_counter(); from fluency import FluencyScorer; imported = time.perf_counter(); "
        "import sys; FluencyScorer.load(sys.argv[1]); print(imported - start, time.perf_counter() - imported)"
    )
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
        runs.append([float(value) for value in done.stdout.split()])
    return {
        name: round(min(values), 2) for name, values in zip(("import", "load"), zip(*runs, strict=True), strict=True)
    }


if __name__ == "__main__":
    main()
