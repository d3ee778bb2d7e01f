"""A causal language model in a GGUF file, as llama.cpp has it, made into safetensors and a tokenizer."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fluency.utils.errors import UserError

# llama.cpp's name of the way in which digits are tokens of their own; transformers' converter leaves that out
_SPLITS_DIGITS = ("smollm",)


def convert(file: Path, folder: Path) -> None:
    """Write the model in `file` to `folder`: config.json, model.safetensors in float16, tokenizer; the same bytes ever.

    Raises:
        UserError: the package gguf is missing, or the file is no model that can be read.
    """
    if find_spec("gguf") is None:
        raise UserError(f"model.source: {file.name} needs the package gguf; `pip install gguf`")
    import torch
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        fields = GGUFReader(file).fields
        names = ("general.architecture", "tokenizer.ggml.model", "tokenizer.ggml.pre")
        architecture, tokens, split = (fields[name].contents() if name in fields else None for name in names)
    except (ValueError, IndexError, OSError) as error:
        raise UserError(f"model.source: {file.name} is no GGUF file ({error})") from None
    quantised = _converted(AutoModelForCausalLM, file, f"the architecture {architecture!r}", dtype=torch.float32)
    tokenizer = _converted(AutoTokenizer, file, f"a tokenizer {tokens!r}")
    if split in _SPLITS_DIGITS:
        digits, text = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, text])
    config = quantised.config
    del config.quantization_config
    config._name_or_path = ""
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float16)
    model.load_state_dict(quantised.state_dict())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for name in ("chat_template.jinja", "generation_config.json"):  # of no use to a scorer
        (folder / name).unlink(missing_ok=True)


def _converted(auto: Any, file: Path, what: str, **options: Any) -> Any:
    try:
        return auto.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True, **options)
    except Exception as error:  # the converters raise what they like
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"model.source: {file.name} has {what}, which cannot be converted ({reason}); name another model, or its "
            "safetensors"
        ) from None
