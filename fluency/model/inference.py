"""Logits in row order, from length-sorted batches under a token budget."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from fluency.edits.forms import Change
from fluency.model.device import Device, device_at_hand, use_cores
from fluency.model.encoding import Encoded, collate, encode, load_tokenizer, padded_length

Batch = dict[str, torch.Tensor]


class TorchModel:
    """The classifier in a local folder, run by torch; safetensors only, no remote code.

    Attributes:
        max_tokens: padded tokens of a batch that suit the device.
    """

    def __init__(self, folder: str | Path, device: Device) -> None:
        with _without_bar():
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
        self.model = in_bfloat16(model) if device.bf16 else model
        self.model.to(device.name).eval()
        self.device = device
        # what a CPU keeps in its caches; a GPU would wait for the launches of so small a batch
        self.max_tokens = 2048 if device.type == "cpu" else 16_384

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> np.ndarray:
        """The logits of a padded batch: float32, of shape [pairs, 2]."""
        batch = {name: tensor.to(self.device.name) for name, tensor in batch.items()}
        return self.model(**batch).logits.float().cpu().numpy()

    def after_fork(self) -> None:
        """Compute in one thread, as OpenMP's are gone."""
        torch.set_num_threads(1)


@contextmanager
def _without_bar() -> Iterator[None]:
    """Without transformers' progress bar of loading weights, which each worker would show for a moment."""
    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            enable_progress_bar()


def in_bfloat16(model: PreTrainedModel) -> PreTrainedModel:
    """The model with its weights in bfloat16, except for the last layer: a bfloat16 logit of 4 has steps of 1/32."""
    model.to(torch.bfloat16)
    model.classifier.float()
    model.classifier.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    return model


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


def predict_logits(
    model: TorchModel,
    encoded: Sequence[Encoded],
    *,
    pad_token_id: int,
    progress: str | None = None,
) -> np.ndarray:
    """Logits of encoded pairs.

    Args:
        progress: label of a progress bar; none is shown without.

    Returns:
        float32 of shape [pairs, 2], in the order of `encoded`.
    """
    logits = np.empty((len(encoded), 2), dtype=np.float32)
    lengths = [padded_length(len(item["input_ids"])) for item in encoded]
    with tqdm(total=len(encoded), desc=progress, unit="pair", disable=progress is None) as bar:
        for rows in batches(lengths, model.max_tokens):
            logits[rows] = model(collate([encoded[row] for row in rows], pad_token_id))
            bar.update(len(rows))
    return logits


def predict(model_folder: Path, changes: Sequence[Change], *, progress: str) -> np.ndarray:
    """Logits of changes by the model in a folder; what occurs twice is computed once.

    A pair that is longer than the model was trained on (`train.max_length`, which its tokenizer keeps) is cut.

    Args:
        progress: label of a progress bar.

    Returns:
        float32 of shape [changes, 2], in the order of `changes`.
    """
    use_cores()
    tokenizer = load_tokenizer(model_folder)
    places = {change: place for place, change in enumerate(dict.fromkeys(changes))}
    before, after = zip(*places, strict=True)
    encoded = encode(tokenizer, before, after, max_length=tokenizer.model_max_length)
    model = TorchModel(model_folder, device_at_hand())
    logits = predict_logits(model, encoded, pad_token_id=tokenizer.pad_token_id, progress=progress)
    return logits[[places[change] for change in changes]]
