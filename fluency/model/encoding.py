"""The only place where a pair is tokenised: training, calibration, evaluation and the scorer share it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

# Lengths are padded to a multiple of this: few distinct shapes, whole tensor-core tiles.
_LENGTH_STEP = 8
# Each length is compiled once under `train.torch_compile`, so there they are few.
COMPILED_LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)

Encoded = dict[str, list[int]]


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a local model folder; nothing is downloaded and no code of the folder is run."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def encode(
    tokenizer: PreTrainedTokenizerBase, before: Sequence[str], after: Sequence[str], *, max_length: int | None
) -> list[Encoded]:
    """Tokenise pairs as `[CLS] before [SEP] after [SEP]`, unpadded.

    Args:
        before, after: sentences, of equal number.
        max_length: pairs with more tokens lose the end of the longer sentence; with None they stay whole.
    """
    batch = tokenizer(
        list(before),
        list(after),
        truncation="longest_first" if max_length else False,
        max_length=max_length,
        verbose=False,
    )
    return [{name: batch[name][row] for name in batch} for row in range(len(before))]


def padded_length(length: int, lengths: Sequence[int] = ()) -> int:
    """The first of `lengths` (ascending) that is long enough, else the next multiple of 8."""
    return next((allowed for allowed in lengths if allowed >= length), -(-length // _LENGTH_STEP) * _LENGTH_STEP)


def collate(features: Sequence[Encoded], pad_token_id: int, *, lengths: Sequence[int] = ()) -> dict[str, torch.Tensor]:
    """Pad encoded pairs to the longest of them, or to the next of `lengths` (ascending).

    Returns:
        Tensors of shape [pairs, length] (`labels`: [pairs]), by the names in `features`.
    """
    length = padded_length(max(len(feature["input_ids"]) for feature in features), lengths)
    batch = {}
    for name in features[0]:
        if name == "labels":
            batch[name] = torch.tensor([feature[name] for feature in features])
            continue
        padded = np.full((len(features), length), pad_token_id if name == "input_ids" else 0, dtype=np.int64)
        for row, feature in enumerate(features):
            padded[row, : len(feature[name])] = feature[name]
        batch[name] = torch.from_numpy(padded)
    return batch
