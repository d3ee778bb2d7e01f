"""How far the default model's figures move with the seed of its training, and with another processor's kernels.

A processor without AVX-512 reads all pairs anew, and trains on what it has read.

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

from benchmarks.ablation import BASE, CHALLENGE, ENCODED, PAIRS, figures
from benchmarks.variants import encode_all, trained
from fluency.corpus.challenge import read_challenge
from fluency.model.device import use_machine
from fluency.model.encode import reader_of
from fluency.params import load_params
from fluency.utils.files import write_json

RESULT = Path(__file__).with_suffix(".json")
KERNELS = {
    "default": {},
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell",
    },
}  # fmt: skip
RUNS = [*((seed, "default") for seed in (42, 43, 44, 45)), (42, "AVX2")]


def main() -> None:
    found: dict[str, Any] = {"runs": {}}
    for seed, kernels in RUNS:
        command = [sys.executable, "-m", "benchmarks.spread", str(seed), kernels]
        environment = os.environ | KERNELS[kernels]
        printed = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        found["runs"][f"seed {seed}, {kernels} kernels"] = json.loads(printed.splitlines()[-1])
        write_json(RESULT, found)  # the next one takes minutes
    by_seed = [its for name, its in found["runs"].items() if "default" in name]
    leaves = [dict(_leaves(its)) for its in by_seed]
    found["deviation_of_seeds"] = {
        name: round(float(np.std([its[name] for its in leaves], ddof=1)), 4) for name in leaves[0]
    }
    write_json(RESULT, found)


def one(seed: int, kernels: str) -> None:
    """Train with this seed, and print the figures in one line."""
    use_machine()
    edits, reader = read_challenge(CHALLENGE), reader_of(BASE, load_params().encode)
    read = reader.read(reader.tokenise([edit.change for edit in edits], cut=True))
    with tempfile.TemporaryDirectory() as folder:
        encoded = ENCODED if kernels == "default" else Path(folder, "encoded")
        if kernels != "default":
            encode_all(PAIRS, encoded, BASE)
        variant = trained(encoded, BASE, Path(folder), seed=seed)
        print(json.dumps(figures(variant, encoded / "test", edits, list(read))))


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        elif name != "train_seconds":
            yield f"{prefix}{name}", value


if __name__ == "__main__":
    one(int(sys.argv[1]), sys.argv[2]) if len(sys.argv) > 1 else main()
