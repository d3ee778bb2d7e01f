"""Packed pairs give what padded pairs give."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import ModernBertConfig, ModernBertForSequenceClassification

from benchmarks.packing import ATTENTION, pack, packed_logits
from fluency.model.encoding import collate
from fluency.training.objective import mean_loss

CONFIG = {
    "vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 2,
    "pad_token_id": 0, "local_attention": 16, "global_attn_every_n_layers": 2,
    "attention_dropout": 0.0, "embedding_dropout": 0.0, "mlp_dropout": 0.0, "classifier_dropout": 0.0,
}  # fmt: skip


def models() -> tuple[ModernBertForSequenceClassification, ModernBertForSequenceClassification]:
    """Two with the same random weights, of which the second packs."""
    found = []
    for attention in ("sdpa", ATTENTION):
        torch.manual_seed(0)
        config = ModernBertConfig(**CONFIG)
        config._attn_implementation = attention
        found.append(ModernBertForSequenceClassification(config).train())
    return found[0], found[1]


def gradients(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([weights.grad.ravel() for weights in model.parameters()])


@settings(max_examples=15)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(0, 2**16))
def test_packed_is_padded_without_its_padding(lengths, seed):
    """Also beyond the window of local attention."""
    rng = torch.Generator().manual_seed(seed)
    items = [
        {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": row % 2}
        for row, count in enumerate(lengths)
        for ids in [torch.randint(1, 60, (count,), generator=rng).tolist()]
    ]
    padded, packed = models()
    batch = collate(items, 0)
    labels = batch.pop("labels")
    expected = padded(**batch).logits
    row = pack(items)
    assert row["input_ids"].shape == (1, sum(lengths))
    assert row.pop("labels").tolist() == labels.tolist()
    found = packed_logits(packed, **row)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    mean_loss({"logits": expected}, labels).backward()
    mean_loss({"logits": found}, labels).backward()
    torch.testing.assert_close(gradients(packed), gradients(padded), atol=1e-4, rtol=1e-4)
