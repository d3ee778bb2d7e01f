"""Memory and start-up of training's processes on many pairs: read from `data/encoded/`'s arrays, or tokenised in each.

The pairs of the pipeline (`make repro` makes them) are repeated under new numbers, and once encoded their arrays are
repeated for more pairs. Each process does what a rank does before its first step and takes some batches, without a
model; its own memory is what it shares with nobody, so of one process alone the arrays that it has mapped too. The old
way is run on the fewest.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.variants import MINILM
from fluency.model.encode import encode_pairs
from fluency.model.encoded_pairs import EncodedPairs
from fluency.model.encoding import PairReader, collate, load_tokenizer
from fluency.sources.model import fetch_model
from fluency.training.sampler import GlobalBatchSampler
from fluency.utils.files import read_parquet, write_json

PAIRS, RESULTS = Path("data/pairs/train.parquet"), Path("benchmarks/ranks.json")
BATCH, BATCHES = 8, 200


def many_pairs(path: Path, count: int) -> None:
    """Write so many pairs of `PAIRS`, each repetition with a number at its start, so that no two edits are the same."""
    pairs = pq.read_table(PAIRS, columns=["id", "before", "after", "label"])
    with pq.ParquetWriter(path, pairs.schema) as file:
        for number in range(-(-count // len(pairs))):
            rows = pairs.slice(0, count - number * len(pairs)).to_pylist()
            for row in rows:
                row |= {"id": f"{number}-{row['id']}"} | {side: f"{number} {row[side]}" for side in ("before", "after")}
            file.write_table(pa.Table.from_pylist(rows, pairs.schema))


def reader(base: Path) -> PairReader:
    return PairReader(load_tokenizer(base), max_length=512)


def mapped(encoded: Path, *_: Path) -> tuple[Sequence[Any], Any, Any]:
    """What a rank reads now: rows, lengths, edits."""
    pairs = EncodedPairs(encoded)
    return pairs, pairs.lengths(), pairs.edits


def tokenised(_: Path, path: Path, base: Path) -> tuple[Sequence[Any], Any, Any]:
    """What a rank read before there was a stage `encode_pairs`."""
    pairs = read_parquet(path)
    items = reader(base).tokenise([(pair["before"], pair["after"]) for pair in pairs], cut=True)
    rows = [{**item, "labels": pair["label"]} for item, pair in zip(items, pairs, strict=True)]
    numbers: dict[frozenset[str], int] = {}
    edits = [numbers.setdefault(frozenset((pair["before"], pair["after"])), len(numbers)) for pair in pairs]
    return rows, [len(row["input_ids"]) for row in rows], edits


WAYS = {"memory-mapped": mapped, "tokenised in each process": tokenised}


def rank(way: str, folders: Sequence[Path], process: int, processes: int, gate: Any, answers: Any) -> None:
    """Be one process of so many; answers with seconds to the first batch and MB of its own."""
    gate.wait()
    own, start = psutil.Process().memory_full_info().uss, time.perf_counter()
    rows, lengths, edits = WAYS[way](*folders)
    sampler = GlobalBatchSampler(
        lengths, edits, batch=BATCH // processes, batches=processes, seed=42, process=process, processes=processes
    )
    batches: Iterator[Any] = (collate([rows[row] for row in batch], 0) for batch in sampler)
    next(batches)
    seconds = time.perf_counter() - start
    for _ in islice(batches, BATCHES):
        pass
    gate.wait()  # memory is looked at while all have what they read
    answers.put((seconds, (psutil.Process().memory_full_info().uss - own) / 2**20))
    gate.wait()


def measure(way: str, folders: Sequence[Path], processes: int) -> dict[str, float]:
    """Start so many processes at once; the slowest, and the largest."""
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(processes), context.Queue()
    ranks = [context.Process(target=rank, args=(way, folders, number, processes, gate, answers))
             for number in range(processes)]  # fmt: skip
    for started in ranks:
        started.start()
    found = [answers.get() for _ in ranks]
    for started in ranks:
        started.join()
    seconds, memory = (max(values) for values in zip(*found, strict=True))
    return {"seconds_to_first_batch": round(seconds, 1), "own_mb": round(memory)}


def repeat(folder: Path, times: int, new: Path) -> None:
    """Write the encoded pairs of `folder` so many times into `new`, their edits numbered on."""
    new.mkdir()
    for path in folder.glob("*.npy"):
        array = np.load(path, mmap_mode="r")
        of_next = {"edits": len(array), "input_ids.ends": array[-1], "attention_mask.ends": array[-1],
                   "token_type_ids.ends": array[-1]}.get(path.stem, 0)  # fmt: skip
        steps = np.repeat(np.arange(times), len(array)) * of_next
        np.save(new / path.name, (np.tile(array, times) + steps).astype(array.dtype))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100_000, help="that are encoded (%(default)s)")
    parser.add_argument("--times", type=int, default=10, help="as often for the larger number (%(default)s)")
    chosen = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    base = fetch_model(*MINILM).root
    result: dict[str, Any] = {
        "model": MINILM[0],
        "versions": {"numpy": np.__version__},
        "pairs": chosen.pairs,
        "times": chosen.times,
        "runs": [],
    }
    with TemporaryDirectory() as made:
        folder = Path(made)
        path, encoded = folder / "pairs.parquet", folder / "encoded"
        many_pairs(path, chosen.pairs)
        start = time.perf_counter()
        encode_pairs(path, encoded, reader(base), parts=folder / "parts", progress="pairs")
        result["encode_pairs_seconds"] = round(time.perf_counter() - start, 1)
        repeat(encoded, chosen.times, folder / "more")
        for its, ways in ((encoded, list(WAYS)), (folder / "more", list(WAYS)[:1])):
            run: dict[str, Any] = {
                "pairs": len(EncodedPairs(its)),
                "encoded_mb": round(sum(file.stat().st_size for file in its.iterdir()) / 2**20),
            }
            for way in ways:
                run[way] = {f"{n} process{'es' * (n > 1)}": measure(way, (its, path, base), n) for n in (1, 2)}
            print(json.dumps(run), flush=True)
            result["runs"].append(run)
    write_json(RESULTS, result)


if __name__ == "__main__":
    main()
