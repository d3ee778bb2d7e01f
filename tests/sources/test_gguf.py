"""A GGUF file becomes the same safetensors and tokenizer each time; what cannot be converted is told in one line."""

import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from fluency.sources import gguf as source
from fluency.sources.gguf import convert
from fluency.sources.model import fetch_model, kind_of
from fluency.utils.errors import UserError
from stages import fetch_model as stage
from tests.helpers.language_models import byte_tokenizer, random_llama

Q4 = gguf.GGMLQuantizationType.Q4_1
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "model.layers.": "blk.",
}  # fmt: skip


def write(file: Path, *, architecture: str = "llama", tokens: str = "gpt2", split: str = "smollm") -> PreTrainedModel:
    """Write a tiny model as llama.cpp does, its matrices with four bits a weight; returns it."""
    model, bpe = random_llama(), json.loads(byte_tokenizer().backend_tokenizer.to_str())["model"]
    writer, config = gguf.GGUFWriter(file, architecture), model.config
    values = {
        "block_count": config.num_hidden_layers, "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size, "feed_forward_length": config.intermediate_size,
        "head_count": config.num_attention_heads, "head_count_kv": config.num_key_value_heads,
        "layer_norm_rms_eps": config.rms_norm_eps, "rope_dimension_count": config.head_dim,
        "rope_freq_base": config.rope_parameters["rope_theta"], "tokenizer_model": tokens, "tokenizer_pre": split,
        "token_list": list(bpe["vocab"]), "token_types": [3, *[1] * (len(bpe["vocab"]) - 1)],
        "token_merges": [" ".join(merge) for merge in bpe["merges"]], "bos_token_id": 0, "eos_token_id": 0,
    }  # fmt: skip
    for name, value in values.items():
        getattr(writer, f"add_{name}")(value)
    for name, tensor in model.named_parameters():
        weights, kind = tensor.detach().numpy(), Q4 if tensor.ndim == 2 else None
        for part, heads in (("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)):
            if part in name:  # llama.cpp turns neighbouring numbers of a head, where transformers turns its halves
                weights = weights.reshape(heads, 2, -1, weights.shape[1]).swapaxes(1, 2).reshape(weights.shape)
        for its, other in NAMES.items():
            name = name.replace(its, other)
        writer.add_tensor(name, gguf.quants.quantize(weights, kind) if kind else weights, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def refused(file: Path) -> str:
    """Convert what cannot be converted; returns the one line that tells so."""
    with pytest.raises(UserError) as error:
        convert(file, file.parent / "folder")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "m.gguf"
    write(file)
    return file


@pytest.fixture(scope="module")
def converted(file) -> Path:
    convert(file, file.parent / "folder")
    return file.parent / "folder"


def test_the_weights_are_the_files_in_float16(converted, tmp_path):
    original, model = write(tmp_path / "m.gguf"), AutoModelForCausalLM.from_pretrained(converted, dtype="auto")
    found = dict(model.named_parameters())
    for name, tensor in original.named_parameters():
        expected = tensor.detach().numpy()
        if expected.ndim == 2:
            expected = gguf.quants.dequantize(gguf.quants.quantize(expected, Q4), Q4)
        assert np.array_equal(found[name].detach().numpy(), expected.astype(np.float16)), name
    original.load_state_dict(model.state_dict())
    ids = torch.tensor([[0, 40, 50, 60, 70]])
    assert torch.allclose(model.float()(ids).logits, original(ids).logits, atol=1e-4)


def test_the_tokenizer_is_the_files_and_digits_are_tokens_of_their_own(converted, tmp_path):
    ours, theirs, text = AutoTokenizer.from_pretrained(converted), byte_tokenizer(), "She goes, café 🙂.\n"
    assert ours.encode(text, add_special_tokens=False) == theirs.encode(text)
    assert (ours.bos_token, ours.bos_token_id) == ("<s>", 0)
    assert ours.tokenize("In 2024") == ["In", "Ġ", "2", "0", "2", "4"]
    write(tmp_path / "m.gguf", split="default")
    convert(tmp_path / "m.gguf", tmp_path / "other")
    assert AutoTokenizer.from_pretrained(tmp_path / "other").tokenize("In 2024") == ["In", "Ġ2024"]


def test_the_stage_makes_the_same_bytes_wherever_the_file_stands(converted, file, tmp_path, monkeypatch):
    moved = Path(shutil.copyfile(file, tmp_path / "moved.gguf"))
    fetched = fetch_model(f"path:{moved}", None)
    assert (fetched.files, fetched.root, fetched.revision) == ([moved], tmp_path, None)
    monkeypatch.chdir(tmp_path)
    params = {"model": {"source": f"path:{moved}", "sha256": None, "kind": None}}
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    stage.main()
    found, expected = (
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (Path("models/base"), converted)
    )
    manifest = json.loads(found.pop("manifest.json"))
    assert found == expected
    assert (manifest["kind"], [*manifest["files"]]) == ("edit_head", sorted(expected))


def test_a_causal_language_model_gets_an_edit_head_unless_another_kind_is_asked_for():
    causal, encoder = ({"architectures": [name]} for name in ("LlamaForCausalLM", "ModernBertForMaskedLM"))
    assert [kind_of(causal, kind) for kind in (None, "edit_head")] == ["edit_head"] * 2
    assert kind_of(causal, "cross_encoder") == kind_of(encoder) == kind_of({}) == "cross_encoder"
    for config in (encoder, {"architectures": None}):
        with pytest.raises(UserError, match=r"^model.kind: edit_head needs a causal language model; model.source has "):
            kind_of(config, "edit_head")


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"architecture": "rwkv6"}, "the architecture 'rwkv6'"), ({"tokens": "rwkv"}, "a tokenizer 'rwkv'")],
)
def test_what_transformers_cannot_convert_is_refused(tmp_path, changes, what):
    write(tmp_path / "m.gguf", **changes)
    line = refused(tmp_path / "m.gguf")
    assert line.startswith(f"model.source: m.gguf has {what}, which cannot be converted (")
    assert line.endswith("); name another model, or its safetensors")


@pytest.mark.parametrize("share", [0, 0.0001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_or_is_none_is_refused(file, tmp_path, share):
    whole = file.read_bytes()
    for content in (whole[: int(share * len(whole))], b"<html>Not found</html>" * 10):
        (tmp_path / "m.gguf").write_bytes(content)
        assert refused(tmp_path / "m.gguf").startswith("model.source: m.gguf is no GGUF file (")


def test_without_the_package_one_line_says_what_to_install(file, monkeypatch):
    monkeypatch.setattr(source, "find_spec", lambda _: None)
    assert refused(file) == "model.source: m.gguf needs the package gguf; `pip install gguf`"
