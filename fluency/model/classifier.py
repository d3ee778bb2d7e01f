"""A trained classifier, of either kind: what reads changes, and the model that gives logits of what was read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from fluency.edits.forms import Change
from fluency.model.device import Device
from fluency.model.edit_head import EditHead, EditHeadConfig
from fluency.model.edit_reader import EditReader
from fluency.model.encoding import Item, PairReader, Unseen, batches, load_tokenizer, without_bar
from fluency.model.params import EncodeParams
from fluency.utils.files import read_json


class Reader(Protocol):
    """Turns changes into what a model takes."""

    max_length: int

    def tokenise(self, changes: Sequence[Change], *, cut: bool) -> list[Item]: ...

    def unseen(self, changes: Sequence[Change]) -> list[Unseen | None]: ...

    def length(self, item: Item) -> int: ...

    def read(
        self, items: Sequence[Item], *, progress: str | None = None, parts: Path | None = None
    ) -> Sequence[Item]: ...

    def padded(self, item: Item) -> int: ...

    def collate(self, items: Sequence[Item]) -> dict[str, torch.Tensor]: ...


class Classifier:
    """What reads changes, and the model that tells logits of what was read.

    Attributes:
        reader: a `PairReader` for a cross-encoder, an `EditReader` for an edit head.
    """

    def __init__(self, reader: Reader, model: PreTrainedModel, device: Device) -> None:
        self.reader, self.model, self.device = reader, model.to(device.name).eval(), device

    @torch.inference_mode()
    def logits(self, items: Sequence[Item], *, progress: str | None = None) -> np.ndarray:
        """Logits of pairs that were read.

        Args:
            progress: label of a progress bar; none is shown without.

        Returns:
            float32 of shape [pairs, 2], in the order of `items`.
        """
        found = np.empty((len(items), 2), dtype=np.float32)
        lengths = [self.reader.padded(item) for item in items]
        with tqdm(total=len(items), desc=progress, unit="pair", disable=progress is None) as bar:
            for rows in batches(lengths, self.device.batch_tokens):
                batch = self.reader.collate([items[row] for row in rows])
                batch = {name: tensor.to(self.device.name) for name, tensor in batch.items() if name != "labels"}
                found[rows] = self.model(**batch)["logits"].float().cpu().numpy()
                bar.update(len(rows))
        return found

    def after_fork(self) -> None:
        """Compute in one thread, as OpenMP's are gone."""
        torch.set_num_threads(1)


def load_classifier(folder: str | Path, device: Device) -> Classifier:
    """The trained classifier in a local folder; safetensors only, no remote code."""
    folder = Path(folder)
    if read_json(folder / "config.json").get("model_type") == EditHeadConfig.model_type:
        head = EditHead.load(folder)
        params = EncodeParams(head.config.sentence_length, head.config.layer, head.config.following)
        reader = EditReader(folder, device, params, config=head.config.language_model).load()
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
    last = model.get_submodule(last_layer(model)).float()
    last.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    return model


def last_layer(model: nn.Module) -> str:
    """The name of the layer that gives the logits: heads have many names, but their last linear layer is the last."""
    return [name for name, its in model.named_modules() if isinstance(its, nn.Linear)][-1]


def predict(classifier: Classifier, changes: Sequence[Change], *, progress: str) -> np.ndarray:
    """Logits of changes; what occurs twice is computed once, and what is longer than `max_length` is cut.

    Args:
        progress: label of a progress bar.

    Returns:
        float32 of shape [changes, 2], in the order of `changes`.
    """
    places = {change: place for place, change in enumerate(dict.fromkeys(changes))}
    read = classifier.reader.read(classifier.reader.tokenise(list(places), cut=True), progress=progress)
    return classifier.logits(read)[[places[change] for change in changes]]
