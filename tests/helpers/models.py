"""A model as the pipeline leaves it, but untrained."""

from pathlib import Path

from fluency.evaluation.calibration import Calibration
from fluency.evaluation.support import Support
from fluency.model.encoding import load_tokenizer
from fluency.training.new_model import new_cross_encoder
from fluency.utils.files import sha256

CURVE = {"threshold": [0.2, 0.5, 0.9], "precision": [0.6, 0.8, 1.0], "recall": [1.0, 0.7, 0.1]}
SUPPORT = Support(1.0, {"words": (0, 400), "characters": (0, 4000), "changed": (0, 400), "share": (0, 1)})


def untrained(base: Path, folder: Path) -> Path:
    """Make a models/ folder of `folder`: fluency/ with a new classifier on the encoder in `base`, calibration.json."""
    tokenizer = load_tokenizer(base)
    new_cross_encoder(base, tokenizer.pad_token_id, 0.0).save_pretrained(folder / "fluency")
    tokenizer.save_pretrained(folder / "fluency")
    calibrated(folder)
    return folder


def calibrated(folder: Path) -> None:
    """Write the calibration of what stands in `folder`/fluency now."""
    files = {path.name: sha256(path) for path in sorted((folder / "fluency").iterdir())}
    Calibration(2.0, 0.5, CURVE, 512, files, SUPPORT).save(folder / "calibration.json")
