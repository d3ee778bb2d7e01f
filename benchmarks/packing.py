"""Pairs one behind the other in one row, without padding: no token is computed that is not there. For ModernBERT.

A way to train that `benchmarks.training` measures beside ours, which groups pairs of like length and pads them.

Attention stays within each pair (`cu_seq_lens`, cumulated lengths, as FlashAttention takes them), positions begin
anew with each, and the classification head gathers the first token of each.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

from fluency.model.encoded_pairs import Item

ATTENTION = "packed"


def pack(items: Sequence[Item]) -> dict[str, torch.Tensor | int]:
    """Put tokenised pairs one behind the other.

    Returns:
        `labels` [pairs], `input_ids` and `position_ids` [1, tokens], `starts` [pairs + 1]: where each pair begins, and
        the row's end; `longest`: the tokens of the longest pair.
    """
    counts = [len(item["input_ids"]) for item in items]
    return {
        "labels": torch.tensor([item["labels"] for item in items]),
        "input_ids": torch.tensor([token for item in items for token in item["input_ids"]])[None],
        "position_ids": torch.cat([torch.arange(count) for count in counts])[None],
        "starts": torch.tensor([0, *counts]).cumsum(0).to(torch.int32),
        "longest": max(counts),
    }


def packed_logits(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    position_ids: torch.Tensor,
    starts: torch.Tensor,
    longest: int,
) -> torch.Tensor:
    """Logits [pairs, labels] of a ModernBERT classifier whose attention implementation is `ATTENTION`, for what `pack`
    returns."""
    hidden = model.model(
        input_ids=input_ids,
        position_ids=position_ids,
        attention_mask={"full_attention": None, "sliding_attention": None},
        cu_seq_lens_q=starts,
        max_length_q=longest,
    ).last_hidden_state
    first = hidden[0, starts[:-1]]
    return model.classifier(model.drop(model.head(first)))


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _: torch.Tensor | None,
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    sliding_window: int | None = None,
    **__: object,
) -> tuple[torch.Tensor, None]:
    """Attention within each pair of a packed row, as transformers calls it.

    Args:
        query, key, value: of shape [1, heads, tokens, width].
        sliding_window: tokens to each side that a token sees, itself counted.

    Returns:
        Of shape [1, tokens, heads, width].
    """
    window = -1 if sliding_window is None else sliding_window - 1
    if query.is_cuda:
        rows = [states[0].transpose(0, 1) for states in (query, key, value)]  # [tokens, heads, width]
        counts = (cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q)
        return varlen_attn(*rows, *counts, scale=scaling, window_size=(window, window))[None], None
    found = [
        scaled_dot_product_attention(
            *(states[:, :, start:end] for states in (query, key, value)),
            attn_mask=None if window < 0 else _near(end - start, window),
            scale=scaling,
        )
        for start, end in pairwise(cu_seq_lens_q.tolist())
    ]
    return torch.cat(found, dim=2).transpose(1, 2), None


def _near(length: int, window: int) -> torch.Tensor:
    """Which tokens see each other: those at most `window` apart; of shape [length, length]."""
    places = torch.arange(length)
    return (places[:, None] - places).abs() <= window


AttentionInterface.register(ATTENTION, packed_attention)
