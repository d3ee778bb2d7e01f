"""A cross-encoder in bfloat16 keeps logits as fine as in float32, whatever its head is called."""

from copy import deepcopy

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from fluency.model.classifier import in_bfloat16

SMALL = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "pad_token_id": 0}
HEADS = {
    "bert": {"intermediate_size": 32},
    "roberta": {"intermediate_size": 32, "pad_token_id": 1},
    "distilbert": {"dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 2},
    "xlnet": {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2},
    "modernbert": {"intermediate_size": 32},
}


@pytest.mark.parametrize("kind", HEADS)
def test_logits_are_near_those_in_float32_and_not_coarse(kind):
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**SMALL, **HEADS[kind]})
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(2)  # larger logits, so that steps would show
        ids = torch.randint(2, 40, (4, 9))
        plain, halved = model(ids).logits, in_bfloat16(deepcopy(model))(ids).logits
    assert halved.dtype == torch.float32
    assert (halved - plain).abs().max() < 0.1 * plain.abs().max() + 0.02
    assert (halved != halved.bfloat16().float()).any()
