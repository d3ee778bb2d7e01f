"""Training beside two busy programs: with threads that sleep while they wait (`GOMP_SPINCOUNT=0`, ours), and that spin.

Each way, ours and a script with dynamic padding, runs in processes of its own, because OpenMP reads the setting when
torch loads. They take turns, and the median of the rounds counts.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

RESULTS = Path("benchmarks/busy.json")
SPINS = {"sleep": "0", "spin": "300000"}  # the second is libgomp's own
WAYS = ("dynamic padding", "ours")
LOOPS = 2


def pairs_per_second(way: str, steps: int) -> float:
    """Train MiniLM so many steps in this process, after a few that warm up."""
    import torch
    import transformers

    from benchmarks.training import Data, Run, ways
    from benchmarks.variants import MINILM
    from fluency.model.encoding import load_tokenizer
    from fluency.sources.model import fetch_model
    from fluency.training.new_model import new_cross_encoder

    transformers.utils.logging.set_verbosity_error()  # a new classification head is no news here
    torch.set_num_threads(os.cpu_count() or 1)
    base = fetch_model(*MINILM).root
    tokenizer = load_tokenizer(base)
    chosen = replace(ways(gpu=False, modernbert=False)[way], steps=steps)
    data = Data("validation", tokenizer.pad_token_id, tokenizer)
    run = Run(chosen, new_cross_encoder(base, tokenizer.pad_token_id, chosen.dropout), data, "cpu")
    run.steps()
    return steps * chosen.batch / run.steps()[0]


def in_a_process(way: str, spin: str, steps: int) -> float:
    environment = os.environ | {"GOMP_SPINCOUNT": SPINS[spin]}
    command = [sys.executable, "-m", "benchmarks.busy", "--way", way, "--steps", str(steps)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _loop() -> None:
    while True:
        pass


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many programs that never wait."""
    processes = [multiprocessing.get_context("spawn").Process(target=_loop, daemon=True) for _ in range(loops)]
    for process in processes:
        process.start()
    time.sleep(1)
    yield
    for process in processes:
        process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns that are timed (%(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="of a turn (%(default)s)")
    parser.add_argument("--way", choices=WAYS, help="print the speed of one way as it is set here")
    chosen = parser.parse_args()
    if chosen.way:
        print(pairs_per_second(chosen.way, chosen.steps))
        return
    loads, speed = {"alone": 0, f"beside {LOOPS} busy programs": LOOPS}, {}
    turns: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(chosen.rounds):
        for load, way, spin in itertools.product(loads, WAYS, SPINS):
            with busy(loads[load]):
                turns.setdefault((load, way, spin), []).append(in_a_process(way, spin, chosen.steps))
    for (load, way, spin), found in turns.items():
        speed.setdefault(load, {}).setdefault(way, {})[spin] = round(statistics.median(found), 2)
    times = {
        load: {way: round(its["sleep"] / its["spin"], 1) for way, its in found.items()} for load, found in speed.items()
    }
    write = {"cores": os.cpu_count(), "rounds": chosen.rounds, "pairs_per_second": speed, "sleep_times_spin": times}
    RESULTS.write_text(json.dumps(write, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(write, indent=2))


if __name__ == "__main__":
    main()
