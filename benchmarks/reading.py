"""Speed of the default model, whose language model reads edits: ours, the plain ways, and MiniLM as a cross-encoder.

`python -m benchmarks.reading` needs `make repro` first. The ways take turns, and the median of the rounds counts.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import trange

from benchmarks.training import device_name
from benchmarks.variants import MINILM
from fluency import FluencyScorer
from fluency.edits.forms import Change
from fluency.model.classifier import Classifier, load_classifier
from fluency.model.device import device_at_hand, use_machine
from fluency.model.encoding import load_tokenizer
from fluency.sources.model import fetch_model
from fluency.training.new_model import new_cross_encoder
from fluency.utils.files import read_parquet, write_json

MODEL, PAIRS = Path("models/fluency"), Path("data/pairs/test.parquet")
EDITS, ROUNDS, REWRITES = 160, 3, 8


def main() -> None:
    threads = use_machine()
    pairs = read_parquet(PAIRS)[:EDITS]
    changes = [(pair["before"], pair["after"]) for pair in pairs]
    ours = load_classifier(MODEL, device_at_hand())
    rewrites = list(several_of_each(sorted({before for before, _ in changes}), EDITS))
    with tempfile.TemporaryDirectory() as folder:
        minilm = untrained_minilm(Path(folder))
        ways: dict[str, tuple[Callable[[list[Change]], object], list[Change]]] = {
            "a sentence a call": (lambda some: plain(ours, some, 1), changes[::4]),
            "sentences in batches of 32": (lambda some: plain(ours, some, 32), changes),
            "ours": (lambda some: scored(ours, some), changes),
            f"ours, {REWRITES} edits of each sentence": (lambda some: scored(ours, some), rewrites),
            "MiniLM, cross-encoder": (lambda some: scored(minilm, some), changes),
        }
        speed = measured(ways)
    result = {
        "device": device_name("cuda" if torch.cuda.is_available() else "cpu"),
        "threads": threads,
        "edits": len(changes),
        "words_a_sentence": round(float(np.mean([len(before.split()) for before, _ in changes])), 1),
        "edits_per_second": {name: round(value, 1) for name, value in speed.items()},
        "times_a_sentence_a_call": {
            name: round(value / speed["a sentence a call"], 2) for name, value in speed.items()
        },
        "milliseconds_of_one_edit": latency(FluencyScorer.load(MODEL), changes[:40]),
        "seconds_of_the_command": command_seconds(),
    }
    write_json("benchmarks/reading.json", result)
    for name, value in speed.items():
        print(f"{name:34} {value:8.1f} edits/s")


def several_of_each(sentences: list[str], edits: int) -> Iterator[Change]:
    """`REWRITES` edits of each sentence, one word doubled in each, at places all over the sentence."""
    for sentence in sentences[: edits // REWRITES]:
        words = sentence.split()
        for number in range(REWRITES):
            place = number * len(words) // REWRITES
            yield sentence, " ".join([*words[: place + 1], words[place], f"x{number}", *words[place + 1 :]])


def scored(classifier: Classifier, changes: list[Change]) -> np.ndarray:
    """Logits, as the scorer computes them."""
    reader = classifier.reader
    return classifier.logits(reader.read(reader.tokenise(changes, cut=False)))


@torch.inference_mode()
def plain(classifier: Classifier, changes: list[Change], batch: int) -> None:
    """Each sentence on its own through the language model, with states and log-probabilities, in the order given."""
    model, pad = classifier.reader.model, classifier.reader.tokenizer.pad_token_id
    items = classifier.reader.tokenise(changes, cut=False)
    sentences = [item[side] for item in items for side in ("before", "after")]
    for start in range(0, len(sentences), batch):
        rows = sentences[start : start + batch]
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
        output.logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])


def untrained_minilm(folder: Path) -> Classifier:
    """MiniLM with a new head: how fast it is does not depend on what it has learnt."""
    base = fetch_model(*MINILM).root
    tokenizer = load_tokenizer(base)
    tokenizer.model_max_length = 512
    new_cross_encoder(base, tokenizer.pad_token_id, 0.0).save_pretrained(folder / "minilm")
    tokenizer.save_pretrained(folder / "minilm")
    return load_classifier(folder / "minilm", device_at_hand())


def measured(ways: dict[str, tuple[Callable[[list[Change]], object], list[Change]]]) -> dict[str, float]:
    """Edits per second of each way: the median over the rounds, after one that warms up."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in trange(ROUNDS + 1, desc=", ".join(ways)):
        for name, (score, changes) in ways.items():
            start = time.perf_counter()
            score(changes)
            taken[name].append(len(changes) / (time.perf_counter() - start))
    return {name: statistics.median(values[1:]) for name, values in taken.items()}


def latency(scorer: FluencyScorer, changes: list[Change]) -> dict[str, float]:
    """The time that one call with one edit takes, in milliseconds."""
    taken = []
    for before, after in changes:
        start = time.perf_counter()
        scorer.score(before, after)
        taken.append(1000 * (time.perf_counter() - start))
    return {"p50": round(float(np.percentile(taken, 50))), "p99": round(float(np.percentile(taken, 99)))}


def command_seconds() -> float:
    """Seconds from the start of the command to its answer; the median of three."""
    command = [sys.executable, "-m", "fluency", "score", "--before", "She goes home.", "--after", "She go home."]
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    return round(statistics.median(taken), 1)


if __name__ == "__main__":
    main()
