"""What training starts from, for each kind of classifier: the new model, its collator, and how it is written."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from fluency.metrics import LABELS
from fluency.model.edit_head import EditHead, EditHeadConfig, stack
from fluency.model.encoded_pairs import EncodedPairs
from fluency.model.encoding import collate, load_tokenizer, static_lengths
from fluency.training.inputs import Inputs
from fluency.training.params import TrainParams
from fluency.utils.files import read_json

# writes a trained model, or its weights where it is sharded, into a folder
Save = Callable[[PreTrainedModel, Path, dict[str, torch.Tensor] | None], None]
Start = tuple[PreTrainedModel, Callable[..., Any], Save]


def cross_encoder(params: TrainParams, inputs: Inputs, _: EncodedPairs, *, few_lengths: bool) -> Start:
    """All of an encoder, and a new head on it, trained on both sentences at once.

    Args:
        few_lengths: pad batches to one of `static_lengths`; else to the next multiple of 8.
    """
    tokenizer = load_tokenizer(inputs.base)
    tokenizer.model_max_length = inputs.encode.max_length  # goes with the model, to whoever scores with it

    def save(model: PreTrainedModel, folder: Path, weights: dict[str, torch.Tensor] | None) -> None:
        model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)

    model = new_cross_encoder(inputs.base, tokenizer.pad_token_id, params.dropout)
    positions = getattr(model.config, "max_position_embeddings", 0)  # some models count none
    lengths = static_lengths(inputs.encode.max_length, positions) if few_lengths else ()
    return model, partial(collate, pad_token_id=tokenizer.pad_token_id, lengths=lengths), save


def edit_head(params: TrainParams, inputs: Inputs, pairs: EncodedPairs, **_: bool) -> Start:
    """A head on what the base model, a frozen language model, says of edits."""
    features, states = pairs.columns["features"], pairs.columns["states"]
    config = EditHeadConfig(
        features=features.shape[1],
        states=states.shape[1],
        width=states.shape[2],
        hidden_size=inputs.edit_head.hidden_size,
        dropout=params.dropout,
        state_dropout=inputs.edit_head.state_dropout,
        layer=inputs.encode.layer,
        following=inputs.encode.following,
        sentence_length=inputs.encode.max_length,
        language_model=read_json(inputs.base / "config.json"),
        **_labels(),
    )
    head = EditHead(config)
    head.standardise(features, states)

    def save(model: EditHead, folder: Path, _: dict[str, torch.Tensor] | None) -> None:
        shutil.copytree(inputs.base, folder, ignore=shutil.ignore_patterns("config.json", "manifest.json"))
        model.save(folder)

    return head, stack, save


def _labels() -> dict[str, Any]:
    """What a model's configuration says of its labels."""
    return {
        "id2label": dict(enumerate(LABELS)),
        "label2id": {name: label for label, name in enumerate(LABELS)},
        "problem_type": "single_label_classification",
    }


def new_cross_encoder(base: Path, pad_token_id: int, dropout: float) -> PreTrainedModel:
    """A two-label classifier on the encoder in `base`, in float32, with every dropout set to `dropout`."""
    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    config.update(_labels() | {"pad_token_id": pad_token_id})
    for name in vars(config):
        if "dropout" in name and isinstance(getattr(config, name), float | int):
            setattr(config, name, dropout)
    return AutoModelForSequenceClassification.from_pretrained(
        base, config=config, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
