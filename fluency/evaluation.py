"""From changes and a model folder to logits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from transformers.utils.logging import disable_progress_bar

from fluency.changes import Change
from fluency.encoding import encode, load_tokenizer
from fluency.hardware import device_at_hand, use_cores
from fluency.inference import TorchModel, predict_logits


def predict(model_folder: Path, changes: Sequence[Change], *, max_length: int, progress: str) -> np.ndarray:
    """Logits of shape [changes, 2], in their order; a change that occurs twice is predicted once."""
    disable_progress_bar()  # transformers' own, of loading weights
    use_cores()
    tokenizer = load_tokenizer(model_folder)
    places = {change: place for place, change in enumerate(dict.fromkeys(changes))}
    before, after = zip(*places, strict=True)
    encoded = encode(tokenizer, before, after, max_length=max_length)
    model = TorchModel(model_folder, device_at_hand())
    logits = predict_logits(model, encoded, pad_token_id=tokenizer.pad_token_id, progress=progress)
    return logits[[places[change] for change in changes]]
