"""The only place where a pair is tokenised for a cross-encoder: all stages and the scorer share it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from fluency.model.encoded_pairs import Item

# Why a model sees no edit: both sentences have the same tokens, or they differ only in what is cut off.
Unseen = Literal["invisible", "truncated"]

# Lengths are padded to a multiple of this: few distinct shapes, whole tensor-core tiles.
_LENGTH_STEP = 8
# For each, a training step is recorded as a CUDA graph, or the layers are compiled: so they are few.
STATIC_LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


def load_tokenizer(folder: str | Path, config: PreTrainedConfig | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer in a local model folder; nothing is downloaded and no code of the folder is run.

    The name of a special token in a sentence is text to it: `[SEP]` must not end a sentence, nor `<|im_end|>` a turn.

    Args:
        config: of the model that it belongs to, where config.json of the folder is another's.
    """
    return AutoTokenizer.from_pretrained(
        folder, config=config, local_files_only=True, trust_remote_code=False, split_special_tokens=True
    )


@contextmanager
def without_bar() -> Iterator[None]:
    """Without transformers' progress bar of loading weights, which each worker would show for a moment."""
    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            enable_progress_bar()


class PairReader:
    """Turns changes into `[CLS] before [SEP] after [SEP]`, as a cross-encoder takes them.

    Attributes:
        max_length: tokens of the longest pair that is read whole.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, max_length: int) -> None:
        self.tokenizer, self.max_length = tokenizer, max_length

    def tokenise(self, changes: Sequence[tuple[str, str]], *, cut: bool) -> list[Item]:
        """The tokens of changes, unpadded.

        Args:
            cut: take the end off the longer sentence of pairs of more than `max_length` tokens; else they stay whole.
        """
        before, after = zip(*changes, strict=True)
        batch = self.tokenizer(
            list(before),
            list(after),
            truncation="longest_first" if cut else False,
            max_length=self.max_length if cut else None,
            verbose=False,
        )
        return [{name: batch[name][row] for name in batch} for row in range(len(before))]

    def unseen(self, changes: Sequence[tuple[str, str]]) -> list[Unseen | None]:
        """For each change why the model sees no edit, or None."""
        sides = (
            self.tokenizer(list(side), add_special_tokens=False, verbose=False) for side in zip(*changes, strict=True)
        )
        tokens = zip(*(side["input_ids"] for side in sides), strict=True)
        room = self.max_length - self.tokenizer.num_special_tokens_to_add(pair=True)
        return [
            "invisible" if one == other
            else "truncated" if len(one) + len(other) > room and self._cut_off(change, one, other)
            else None
            for change, (one, other) in zip(changes, tokens, strict=True)
        ]  # fmt: skip

    def _cut_off(self, change: tuple[str, str], one: Sequence[int], other: Sequence[int]) -> bool:
        """Whether a side is cut before its first token that the other does not have."""
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
        places = self.tokenizer(*change, truncation="longest_first", max_length=self.max_length).sequence_ids()
        return any(shared >= places.count(side) < len(tokens) for side, tokens in enumerate((one, other)))

    def length(self, item: Item) -> int:
        """Tokens of the pair."""
        return len(item["input_ids"])

    def read(self, items: Sequence[Item], **_: object) -> Sequence[Item]:
        """The tokens themselves are what the model takes."""
        return items

    def padded(self, item: Item) -> int:
        """Tokens of the pair in a batch."""
        return padded_length(self.length(item))

    def collate(self, items: Sequence[Item]) -> dict[str, torch.Tensor]:
        """A batch of pairs."""
        return collate(items, self.tokenizer.pad_token_id)


def padded_length(length: int, lengths: Sequence[int] = ()) -> int:
    """The first of `lengths` (ascending) that is long enough, else the next multiple of 8."""
    return next((allowed for allowed in lengths if allowed >= length), -(-length // _LENGTH_STEP) * _LENGTH_STEP)


def static_lengths(max_length: int, positions: int) -> tuple[int, ...]:
    """The few lengths to which a training pads pairs of at most `max_length` tokens, ascending.

    Args:
        positions: of the model; where there are enough, the last length leaves room for padding.
    """
    lengths = (*(length for length in STATIC_LENGTHS if length < max_length), max_length)
    # RoBERTa uses up two positions before the first token
    return (*lengths, max_length + _LENGTH_STEP) if max_length + 2 * _LENGTH_STEP <= positions else lengths


def collate(items: Sequence[Item], pad_token_id: int, *, lengths: Sequence[int] = ()) -> dict[str, torch.Tensor]:
    """Pad tokenised pairs to the longest of them, or to the next of `lengths` (ascending).

    With `lengths` there is some padding, unless it would take more than the last of them: transformers leaves out a
    mask that hides nothing, and a model without a mask is compiled as another one.

    Returns:
        Tensors of shape [pairs, length] (`labels`: [pairs]), by the names in `items`.
    """
    counts = [len(item["input_ids"]) for item in items]
    length = padded_length(max(counts), lengths)
    if min(counts) == length:
        length = next((longer for longer in lengths if longer > length), length)
    batch = {}
    for name in items[0]:
        if name == "labels":
            batch[name] = torch.tensor([item[name] for item in items])
            continue
        padded = np.full((len(items), length), pad_token_id if name == "input_ids" else 0, dtype=np.int64)
        for row, item in enumerate(items):
            padded[row, : len(item[name])] = item[name]
        batch[name] = torch.from_numpy(padded)
    return batch


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
