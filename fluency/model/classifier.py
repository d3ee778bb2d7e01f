"""A trained classifier, of either kind: what reads changes, and the model that gives logits of what was read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from fluency.edits.forms import Change
from fluency.model.device import Device, device_at_hand, use_cores
from fluency.model.edit_features import EditReader
from fluency.model.edit_head import EditHead, EditHeadConfig, stack
from fluency.model.encoded_pairs import EncodedPairs
from fluency.model.encoding import Item, PairReader, collate, load_tokenizer, padded_length, without_bar
from fluency.utils.files import read_json


class Reader(Protocol):
    """Turns changes into what a model takes."""

    max_length: int

    def tokenise(self, changes: Sequence[Change], *, cut: bool) -> list[Item]: ...

    def length(self, item: Item) -> int: ...

    def read(self, items: Sequence[Item], *, progress: str | None = None) -> Sequence[Item]: ...


class Classifier:
    """What reads changes, and the model that tells logits of what was read.

    Attributes:
        reader: a `PairReader` for a cross-encoder, an `EditReader` for an edit head.
        max_tokens: padded tokens of a batch that suit the device.
    """

    def __init__(self, reader: Reader, model: PreTrainedModel, device: Device) -> None:
        self.reader, self.model, self.device = reader, model.to(device.name).eval(), device
        # what a CPU keeps in its caches; a GPU would wait for the launches of so small a batch
        self.max_tokens = 2048 if device.type == "cpu" else 16_384

    @torch.inference_mode()
    def logits(self, items: Sequence[Item], *, progress: str | None = None) -> np.ndarray:
        """Logits of pairs that were read.

        Args:
            progress: label of a progress bar; none is shown without.

        Returns:
            float32 of shape [pairs, 2], in the order of `items`.
        """
        found = np.empty((len(items), 2), dtype=np.float32)
        lengths = [self._padded(item) for item in items]
        with tqdm(total=len(items), desc=progress, unit="pair", disable=progress is None) as bar:
            for rows in batches(lengths, self.max_tokens):
                batch = self._collated([items[row] for row in rows])
                batch = {name: tensor.to(self.device.name) for name, tensor in batch.items() if name != "labels"}
                found[rows] = self.model(**batch)["logits"].float().cpu().numpy()
                bar.update(len(rows))
        return found

    def _padded(self, item: Item) -> int:
        return padded_length(len(item["input_ids"])) if "input_ids" in item else 1

    def _collated(self, items: Sequence[Item]) -> dict[str, torch.Tensor]:
        if isinstance(self.reader, PairReader):
            return collate(items, self.reader.tokenizer.pad_token_id)
        return stack(items)

    def after_fork(self) -> None:
        """Compute in one thread, as OpenMP's are gone."""
        torch.set_num_threads(1)


def load_classifier(folder: str | Path, device: Device) -> Classifier:
    """The trained classifier in a local folder; safetensors only, no remote code."""
    folder = Path(folder)
    if read_json(folder / "config.json").get("model_type") == EditHeadConfig.model_type:
        head = EditHead.load(folder)
        config = head.config
        reader = EditReader.load(
            folder, device, config=config.language_model, layer=config.layer, following=config.following,
            max_length=config.sentence_length,
        )  # fmt: skip
        return Classifier(reader, head, device)
    with without_bar():
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
    tokenizer = load_tokenizer(folder)
    reader = PairReader(tokenizer, max_length=tokenizer.model_max_length)
    return Classifier(reader, in_bfloat16(model) if device.bf16 else model, device)


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


def predict(model_folder: Path, changes: Sequence[Change], *, progress: str) -> np.ndarray:
    """Logits of changes by the model in a folder; what occurs twice is computed once.

    A pair that is longer than the model was trained on (`encode.max_length`) is cut.

    Args:
        progress: label of a progress bar.

    Returns:
        float32 of shape [changes, 2], in the order of `changes`.
    """
    use_cores()
    classifier = load_classifier(model_folder, device_at_hand())
    places = {change: place for place, change in enumerate(dict.fromkeys(changes))}
    read = classifier.reader.read(classifier.reader.tokenise(list(places), cut=True), progress=progress)
    logits = classifier.logits(read, progress=progress)
    return logits[[places[change] for change in changes]]


def predict_encoded(model_folder: Path, encoded: Path, *, progress: str) -> np.ndarray:
    """Logits of the encoded pairs in a folder: float32 of shape [pairs, 2], in their order."""
    use_cores()
    return load_classifier(model_folder, device_at_hand()).logits(EncodedPairs(encoded), progress=progress)
