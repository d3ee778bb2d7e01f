"""The edit head: a small classifier over what a frozen language model says of an edit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from fluency.model.encoding import Item
from fluency.utils.files import read_json

_WEIGHTS = "edit_head.safetensors"
_FARTHEST = 6.0  # standard deviations: what is farther off than anything in training says no more than this


class EditHeadConfig(PreTrainedConfig):
    """An edit head and the language model that it reads with.

    Attributes:
        features, states, width: the sizes of what it reads: figures, states, and numbers of a state.
        hidden_size: of its one hidden layer.
        dropout, state_dropout: of the hidden layer, and of the states.
        layer, following: as in `likelihood.read_batch`.
        sentence_length: tokens of the longest sentence that is read whole.
        language_model: configuration of the language model.
    """

    # of no model that transformers knows: it must not load this folder as a classifier with a random head
    model_type = "fluency_edit_head"

    features: int = 0
    states: int = 0
    width: int = 0
    hidden_size: int = 256
    dropout: float = 0.0
    state_dropout: float = 0.0
    layer: int = 0
    following: int = 0
    sentence_length: int = 0
    language_model: dict[str, Any] | None = None


class EditHead(PreTrainedModel):
    """One hidden layer over standardised features and states, and a line from the features past it."""

    config_class = EditHeadConfig
    main_input_name = "features"

    def __init__(self, config: EditHeadConfig) -> None:
        super().__init__(config)
        size = config.states * config.width
        self.register_buffer("feature_mean", torch.zeros(config.features))
        self.register_buffer("feature_scale", torch.ones(config.features))
        self.register_buffer("state_mean", torch.zeros(size))
        self.register_buffer("state_scale", torch.ones(size))
        self.of_features = nn.Linear(config.features, config.hidden_size)
        self.of_states = nn.Linear(size, config.hidden_size, bias=False)
        self.past = nn.Linear(config.features, 1, bias=False)
        self.output = nn.Linear(config.hidden_size, 1)
        self.dropout, self.state_dropout = nn.Dropout(config.dropout), nn.Dropout(config.state_dropout)
        self.post_init()

    def standardise(self, features: np.ndarray, states: np.ndarray) -> None:
        """Take mean and standard deviation of training pairs: features [pairs, features], states [pairs, 3, width]."""
        flat = states.reshape(len(states), -1)
        for name, values in (("feature", features), ("state", flat)):
            mean, scale = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
            getattr(self, f"{name}_mean").copy_(torch.from_numpy(mean))
            getattr(self, f"{name}_scale").copy_(torch.from_numpy(np.maximum(scale, 1e-6)))

    def forward(self, features: torch.Tensor, states: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
        """The logits of the labels 0 and 1, of shape [pairs, 2].

        Args:
            features: of shape [pairs, features].
            states: of shape [pairs, states, width].
        """
        figures = _standardised(features, self.feature_mean, self.feature_scale)
        flat = _standardised(states.flatten(1), self.state_mean, self.state_scale)
        hidden = nn.functional.gelu(self.of_features(figures) + self.of_states(self.state_dropout(flat)))
        half = (self.output(self.dropout(hidden)) + self.past(figures)) / 2
        return {"logits": torch.cat([-half, half], dim=1)}

    def save(self, folder: Path) -> None:
        """Write configuration and weights beside those of the language model."""
        self.config.save_pretrained(folder)
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> "EditHead":
        """Read what `save` wrote."""
        head = cls(EditHeadConfig.from_dict(read_json(folder / "config.json")))
        head.load_state_dict(load_file(folder / _WEIGHTS))
        return head.eval()


def _standardised(values: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return ((values.float() - mean) / scale).clamp(-_FARTHEST, _FARTHEST)


def stack(items: Sequence[Item]) -> dict[str, torch.Tensor]:
    """A batch of read edits: tensors of shape [pairs, ...], by the names in `items`."""
    return {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}
