"""The default model trained on the sample, on a corpus of one's own, and on both together; one reading serves all.

`python -m benchmarks.corpora FOLDER` needs `make repro` first, and a folder with train.parquet and validation.parquet,
such as the reference's data. Its validation rows are the test; a twelfth of its training rows become validation. Each
model is tried on the test pairs of both; beside it stand the language model as it is, and the words alone.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml

from benchmarks.variants import trained, write_some
from fluency.baselines import language_model, logistic_regression
from fluency.metrics import average_precision, precision_at_recall, roc_auc
from fluency.model.device import use_machine
from fluency.model.encoded_pairs import EncodedPairs
from fluency.params import load_params
from fluency.utils.files import read_parquet, write_json

RESULT = Path("benchmarks/corpora.json")
OWN = "own"  # what the corpus is called beside the sample
RECALLS = (0.5, 0.6, 0.7, 0.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="has train.parquet and validation.parquet")
    chosen = parser.parse_args()
    use_machine()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        cut(chosen.folder, root / OWN)
        checkout = root / "checkout"
        result: dict[str, Any] = {"seconds": stages(checkout, root / OWN)}
        pairs, encoded, base = checkout / "data/pairs", checkout / "data/encoded", checkout / "models/base"
        train, test = (read_parquet(pairs / f"{split}.parquet") for split in ("train", "test"))
        result["training_pairs"] = {name: sum(row["corpus"] == name for row in train) for name in ("sample", OWN)}
        result["language model, untrained"] = figures(test, language_model.score(EncodedPairs(encoded / "test")))
        for name, corpora in (("both", ("sample", OWN)), (f"{OWN} alone", (OWN,)), ("sample alone", ("sample",))):
            rows = [row for row in train if row["corpus"] in corpora]
            words = logistic_regression.fit(rows, load_params().baseline)
            result[f"words alone, {name}"] = figures(test, logistic_regression.score(words, test))
            write_some(encoded, pairs, root / name, kept=lambda row, corpora=corpora: row["corpus"] in corpora)
            variant = trained(root / name, base, root / f"{name}, trained")
            scores = variant.scores(EncodedPairs(root / name / "test"))
            result[f"edit head, {name}"] = figures(test, scores) | {"train_seconds": round(variant.seconds)}
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def cut(source: Path, folder: Path) -> None:
    """Write a corpus with three splits from one that has two; rows of the same first sentence stay together."""
    folder.mkdir()
    train = pq.read_table(source / "train.parquet")
    held = np.array([zlib.crc32(str(sentence).encode()) % 12 == 0 for sentence in train.column(0).to_pylist()])
    pq.write_table(train.filter(~held), folder / "train.parquet")
    pq.write_table(train.filter(held), folder / "validation.parquet")
    shutil.copyfile(source / "validation.parquet", folder / "test.parquet")


def stages(checkout: Path, own: Path) -> dict[str, int]:
    """Run the pipeline up to the encoded pairs in a copy of the checkout; returns the seconds of each stage."""
    for file in subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout.splitlines():
        (checkout / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, checkout / file)
    shutil.copytree("models/base", checkout / "models/base")
    params = yaml.safe_load((checkout / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["source"] = [{"sample": True, "split": "cut"}, f"path:{own}"]  # the sample keeps a test of its own
    (checkout / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    seconds = {}
    for name in ("fetch_data", "build_pairs", "encode_pairs"):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", f"stages.{name}"], cwd=checkout, check=True, env=os.environ | {"DVC_ROOT": "."}
        )
        seconds[name] = round(time.perf_counter() - start)
    return seconds


def figures(test: list[dict[str, Any]], scores: np.ndarray) -> dict[str, Any]:
    """Figures of each corpus's test pairs."""
    corpora, labels = np.array([row["corpus"] for row in test]), np.array([row["label"] for row in test])
    result = {}
    for name in ("sample", OWN):
        its, of = scores[corpora == name], labels[corpora == name]
        result[name] = {
            "pairs": len(its),
            "average_precision": round(average_precision(its, of), 4),
            "roc_auc": round(roc_auc(its, of), 4),
            "precision_at": {
                f"recall {recall:.0%}": round(precision_at_recall(its, of, recall), 3) for recall in RECALLS
            },
        }
    return result


if __name__ == "__main__":
    main()
