"""A model as the pipeline leaves it, but untrained."""

from pathlib import Path

from fluency.evaluation.calibration import Calibration
from fluency.evaluation.certificate import Certificate
from fluency.evaluation.monitor import FEATURES, Reference
from fluency.evaluation.support import Support
from fluency.model.encoding import load_tokenizer
from fluency.training.new_model import new_cross_encoder
from fluency.utils.files import sha256

CURVE = {
    "threshold": [0.9, 0.5, 0.2], "precision": [1.0, 0.8, 0.6], "recall": [0.1, 0.7, 1.0],
    "accepted": [100, 800, 1400], "groups": [100, 700, 1200], "effective": [100.0, 800.0, 1400.0],
    "lower": [0.94, 0.7, 0.5],
}  # fmt: skip
WIDE = {"words": (0, 400), "characters": (0, 4000), "changed": (0, 400), "share": (0, 1), "out_of_vocabulary": (0, 400)}
SUPPORT = Support(1.0, WIDE)
# whatever edits are like
REFERENCE = Reference(*(dict.fromkeys(FEATURES, its) for its in ([], [1.0], [1.0])))
LONG = Reference(  # of edits of more than 50 words
    {"words": [50], "changed": [], "score": []},
    {"words": [0.0, 1.0], "changed": [1.0], "score": [1.0]},
    {"words": [0.1, 1.0], "changed": [1.0], "score": [1.0]},
)


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
    certificate = Certificate("precision", None, 0.95, 0.7, 700)
    Calibration(0.5, 0.0, 0.5, certificate, CURVE, 512, files, SUPPORT, REFERENCE).save(folder / "calibration.json")
