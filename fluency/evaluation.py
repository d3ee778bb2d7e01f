"""From pairs and a model to logits, and to the results folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from transformers.utils.logging import disable_progress_bar

from fluency.checks import Change
from fluency.encoding import encode, load_tokenizer
from fluency.files import write_json, write_text
from fluency.hardware import device_at_hand
from fluency.inference import load_model, predict_logits
from fluency.metrics import negative_log_likelihood, point_metrics, probabilities


def predict(model_folder: Path, changes: Sequence[Change], *, max_length: int, progress: str) -> np.ndarray:
    """Logits of shape [changes, 2], in their order; a change that occurs twice is predicted once."""
    disable_progress_bar()  # transformers' own, of loading weights
    device = device_at_hand()
    tokenizer = load_tokenizer(model_folder)
    places = {change: place for place, change in enumerate(dict.fromkeys(changes))}
    before, after = zip(*places, strict=True)
    encoded = encode(tokenizer, before, after, max_length=max_length)
    model = load_model(model_folder, device)
    logits = predict_logits(model, encoded, device, pad_token_id=tokenizer.pad_token_id, progress=progress)
    return logits[[places[change] for change in changes]]


def reference_results(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The reference's results.json: loss and point metrics at argmax, before calibration."""
    scores = probabilities(logits)
    point = point_metrics(scores > 0.5, labels)
    figures = {"loss": negative_log_likelihood(scores, labels)} | {
        name: point[name] for name in ("accuracy", "precision", "recall", "f1")
    }
    return {f"test_{name}": value for name, value in figures.items()}


def write_logits(folder: Path, logits: np.ndarray, labels: np.ndarray) -> None:
    """Write the reference's files, in row order: predictions.txt (two logits a row), labels.txt, results.json."""
    write_text(folder / "predictions.txt", "".join(f"{first:.9g} {second:.9g}\n" for first, second in logits))
    write_text(folder / "labels.txt", "".join(f"{label}\n" for label in labels))
    write_json(folder / "results.json", reference_results(logits, labels))
