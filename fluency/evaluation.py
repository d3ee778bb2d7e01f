"""From pairs in a file to logits, figures and the results folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from transformers.utils.logging import disable_progress_bar

from fluency.calibration import Calibration
from fluency.encoding import encode, load_tokenizer
from fluency.files import write_json, write_parquet, write_text, written_aside
from fluency.hardware import device_at_hand
from fluency.inference import load_model, predict_logits
from fluency.metrics import figures, negative_log_likelihood, point_metrics, probabilities
from fluency.params import EvaluateParams

PREDICTION_SCHEMA = pa.schema([("id", pa.string()), ("label", pa.int64()), ("score", pa.float64())])

Pairs = Sequence[Mapping[str, Any]]


def predict_pairs(
    model_folder: Path, pairs: Pairs, *, max_length: int, progress: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of shape [pairs, 2] and labels of shape [pairs], in the order of `pairs`."""
    disable_progress_bar()  # transformers' own, of loading weights
    device = device_at_hand()
    tokenizer = load_tokenizer(model_folder)
    before, after = ([pair[side] for pair in pairs] for side in ("before", "after"))
    encoded = encode(tokenizer, before, after, max_length=max_length)
    model = load_model(model_folder, device)
    logits = predict_logits(model, encoded, device, pad_token_id=tokenizer.pad_token_id, progress=progress)
    return logits, _labels(pairs)


def scored(logits: np.ndarray, pairs: Pairs, calibration: Calibration, params: EvaluateParams) -> dict[str, Any]:
    """The figures of metrics/test.json and metrics/validation.json."""
    return figures(
        probabilities(logits, calibration.temperature),
        _labels(pairs),
        [pair["group"] for pair in pairs],
        [pair["part"] for pair in pairs],
        threshold=calibration.threshold,
        resamples=params.resamples,
        seed=params.seed,
    )


def reference_results(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The reference's results.json: loss and point metrics at argmax, before calibration."""
    scores = probabilities(logits)
    point = point_metrics(scores > 0.5, labels)
    figures = {"loss": negative_log_likelihood(scores, labels)} | {
        name: point[name] for name in ("accuracy", "precision", "recall", "f1")
    }
    return {f"test_{name}": value for name, value in figures.items()}


def write_results(folder: Path, logits: np.ndarray, pairs: Pairs, calibration: Calibration) -> None:
    """Write predictions.txt (two logits a row), labels.txt, results.json and predictions.parquet, in row order."""
    labels = _labels(pairs)
    scores = probabilities(logits, calibration.temperature)
    predictions = [
        {"id": pair["id"], "label": pair["label"], "score": float(score)}
        for pair, score in zip(pairs, scores, strict=True)
    ]
    with written_aside(folder) as aside:
        write_text(aside / "predictions.txt", "".join(f"{first:.9g} {second:.9g}\n" for first, second in logits))
        write_text(aside / "labels.txt", "".join(f"{label}\n" for label in labels))
        write_json(aside / "results.json", reference_results(logits, labels))
        write_parquet(aside / "predictions.parquet", predictions, PREDICTION_SCHEMA)


def _labels(pairs: Pairs) -> np.ndarray:
    return np.array([pair["label"] for pair in pairs], dtype=np.int64)
