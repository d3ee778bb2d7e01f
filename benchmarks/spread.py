"""How far the default model's figures move with the seed of its training, and with another processor's kernels.

`python -m benchmarks.spread` needs `make repro` first; writes benchmarks/spread.json. The tolerances in
tests/project/committed_results.py are to be larger.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ablation import BASE, CHALLENGE, ENCODED, figures
from benchmarks.variants import trained
from fluency.corpus.challenge import read_challenge
from fluency.model.device import use_cores
from fluency.model.encode import reader_of
from fluency.params import load_params
from fluency.utils.files import write_json

RESULT = Path(__file__).with_suffix(".json")
RUNS = [(seed, "default") for seed in (42, 43, 44, 45)] + [(42, "avx2")]  # seed, ATEN_CPU_CAPABILITY


def main() -> None:
    found: dict[str, Any] = {"runs": {}}
    for seed, kernels in RUNS:
        environment = os.environ | ({} if kernels == "default" else {"ATEN_CPU_CAPABILITY": kernels})
        command = [sys.executable, "-m", "benchmarks.spread", str(seed)]
        printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        found["runs"][f"seed {seed}, {kernels} kernels"] = json.loads(printed.splitlines()[-1])
        write_json(RESULT, found)  # the next one takes minutes
    by_seed = [its for name, its in found["runs"].items() if "default" in name]
    leaves = [dict(_leaves(its)) for its in by_seed]
    found["deviation_of_seeds"] = {
        name: round(float(np.std([its[name] for its in leaves], ddof=1)), 4) for name in leaves[0]
    }
    write_json(RESULT, found)


def one(seed: int) -> None:
    """Train with this seed, and print the figures in one line."""
    use_cores()
    edits, reader = read_challenge(CHALLENGE), reader_of(BASE, load_params().encode)
    read = reader.read(reader.tokenise([edit.change for edit in edits], cut=True))
    with tempfile.TemporaryDirectory() as folder:
        variant = trained(ENCODED, BASE, Path(folder), seed=seed)
        print(json.dumps(figures(variant, ENCODED / "test", edits, list(read))))


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        elif name != "train_seconds":
            yield f"{prefix}{name}", value


if __name__ == "__main__":
    one(int(sys.argv[1])) if len(sys.argv) > 1 else main()
