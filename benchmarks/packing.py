"""Pairs one behind the other in one row, without padding: a ModernBERT on a GPU computes no token that is not there.

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
from fluency.model.encoding import padded_length

ATTENTION = "packed"


def pack(
    items: Sequence[Item], *, pad_token_id: int, lengths: Sequence[int] = (), budget: int = 8
) -> dict[str, torch.Tensor | int]:
    """Put tokenised pairs one behind the other.

    Args:
        lengths: what the longest pair's length is told as: the next of these (ascending), so that a compiled model
            sees few of them; none leaves it as it is, in steps of 8.
        budget: tokens of a row are filled up to a multiple of this, by a last pair of padding that nobody looks at.

    Returns:
        `labels` [pairs], `input_ids` and `position_ids` [1, tokens], `starts` [pairs + 2]: where each pair begins, the
        padding after them, and the row's end; `longest`: no pair is longer.
    """
    ids = [torch.as_tensor(item["input_ids"]) for item in items]
    counts = [len(row) for row in ids]
    total = sum(counts)
    filled = -(-total // budget) * budget
    rows = [*ids, torch.full((filled - total,), pad_token_id)]
    return {
        "labels": torch.tensor([item["labels"] for item in items]),
        "input_ids": torch.cat(rows)[None],
        "position_ids": torch.cat([torch.arange(len(row)) for row in rows])[None],
        "starts": torch.tensor([0, *counts, filled - total]).cumsum(0).to(torch.int32),
        "longest": padded_length(max([*counts, filled - total]), lengths),
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
    first = hidden[0, starts[:-2]]
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
