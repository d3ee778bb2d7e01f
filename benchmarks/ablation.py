"""What each part of the default model is worth: heads on some of what is read, on fewer pairs, and a cross-encoder.

`python -m benchmarks.ablation` needs `make repro` first. Each variant is trained and calibrated as the pipeline does
it, and decides at its own operating point.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.variants import Kept, Masked, Variant, encode_all, minilm, trained, write_some
from fluency.corpus.challenge import Challenge, read_challenge
from fluency.evaluation.calibration import Calibration
from fluency.evaluation.challenge import challenge_figures
from fluency.metrics import RECALLS, average_precision, points
from fluency.model.device import use_machine
from fluency.model.encode import reader_of
from fluency.model.encoded_pairs import EncodedPairs
from fluency.model.encoding import Item
from fluency.params import load_params
from fluency.utils.files import read_parquet, write_json

PAIRS, ENCODED, BASE = Path("data/pairs"), Path("data/encoded"), Path("models/base")
CALIBRATION, CHALLENGE = Path("models/calibration.json"), Path("data/sample/challenge")
RESULT = Path("benchmarks/ablation.json")
EDGES = ("absurd", "keeping", "learner", "long", "short")  # the parts that teach short, long, odd and fluent edits


def without(*names: str) -> Masked:
    """Items whose columns of these names say nothing."""
    return lambda item: {name: np.zeros_like(its) if name in names else its for name, its in item.items()}


def main() -> None:
    use_machine()
    edits = read_challenge(CHALLENGE)
    changes = [edit.change for edit in edits]
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        reader = reader_of(BASE, load_params().encode)
        read = reader.read(reader.tokenise(changes, cut=True), progress="challenge set")
        variants: dict[str, tuple[Masked, Kept]] = {
            "features and states": (without(), lambda _: True),
            "features alone": (without("states"), lambda _: True),
            "states alone": (without("features"), lambda _: True),
            "both, without the parts that teach the edges": (without(), lambda row: row["part"] not in EDGES),
        }
        for name, (masked, kept) in variants.items():
            encoded = folder / name / "encoded"
            write_some(ENCODED, PAIRS, encoded, kept=kept, masked=masked)
            variant = trained(encoded, BASE, folder / name)
            result[name] = figures(variant, encoded / "test", edits, [masked(item) for item in read])
            write_json(RESULT, result)  # the next one takes minutes
        base, encoded = minilm(folder / "minilm"), folder / "minilm-pairs"
        encode_all(PAIRS, encoded, base)
        challenge = reader_of(base, load_params().encode).tokenise(changes, cut=True)
        variant = trained(encoded, base, folder / "minilm-trained")
        result["MiniLM as a cross-encoder"] = figures(variant, encoded / "test", edits, challenge)
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def figures(variant: Variant, test: Path, edits: list[Challenge], challenge: list[Item]) -> dict[str, Any]:
    """Figures of the test pairs and their parts, and what is decided wrongly of the challenge set."""
    encoded = EncodedPairs(test)
    labels = np.array(encoded.labels, dtype=np.int64)
    scores = variant.scores(encoded)
    parts = np.array([row["part"] for row in read_parquet(PAIRS / "test.parquet", columns=["part"])])
    point = points(scores, labels, scores >= variant.threshold)
    support = Calibration.load(CALIBRATION).support  # of the pairs, which all variants share
    supported = np.array([not support.outside(edit.change) for edit in edits])
    wrong = challenge_figures(edits, (variant.scores(challenge) >= variant.threshold) & supported)
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
        "train_seconds": round(variant.seconds),
    }


if __name__ == "__main__":
    main()
