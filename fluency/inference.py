"""Logits in row order, from length-sorted batches under a token budget."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from fluency.encoding import Encoded, collate
from fluency.hardware import Device


def load_model(folder: str | Path, device: Device) -> PreTrainedModel:
    """The classifier in a local folder, in float32 and evaluation mode; safetensors only, no remote code."""
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
    )
    return model.to(device.type).eval()


def batches(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of similar length, longest first, each of at most `max_tokens` padded tokens (or one row)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > max_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@torch.inference_mode()
def predict_logits(
    model: PreTrainedModel,
    encoded: Sequence[Encoded],
    device: Device,
    *,
    pad_token_id: int,
    max_tokens: int = 4096,
    progress: str | None = None,
) -> np.ndarray:
    """Logits of encoded pairs.

    Args:
        max_tokens: padded tokens a batch.
        progress: label of a progress bar; none is shown without.

    Returns:
        float32 of shape [pairs, 2], in the order of `encoded`.
    """
    logits = np.empty((len(encoded), 2), dtype=np.float32)
    precision = torch.autocast(device.type, torch.bfloat16) if device.bf16 else nullcontext()
    with precision, tqdm(total=len(encoded), desc=progress, unit="pair", disable=progress is None) as bar:
        for rows in batches([len(item["input_ids"]) for item in encoded], max_tokens):
            batch = collate([encoded[row] for row in rows], pad_token_id)
            batch = {name: tensor.to(device.type) for name, tensor in batch.items()}
            logits[rows] = model(**batch).logits.float().cpu().numpy()
            bar.update(len(rows))
    return logits
