"""A hub's files come at one commit and whole, through failures that pass; what does not is told in one line."""

import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from fluency.sources import hub as client
from fluency.sources.data import fetch_data
from fluency.sources.model import fetch_model
from fluency.utils.errors import UserError
from tests.conftest import Project
from tests.helpers.hub import Hub

PATTERNS = ["*.jsonl", "*.parquet"]
TRAIN = b'{"before": "He go.", "after": "He goes.", "label": 1}\n' * 1000
LARGE = bytes(range(256)) * 1000  # the hub keeps *.parquet in large file storage, on another host


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that the client in this process asks, with empty caches."""
    with Hub() as hub:
        hub.configure(monkeypatch, tmp_path)
        monkeypatch.setattr(client, "sleep", hub.waits.append)
        yield hub


def fetch(rest: str = "owner/edits") -> tuple[dict[str, bytes], str]:
    """Fetch a data set; returns all that is in the folder, and the commit."""
    folder, commit = client.snapshot("dataset", rest, PATTERNS, "data.source")
    names = [name for name in folder.rglob("*.*") if ".cache" not in name.parts and name.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}, commit


def refused(rest: str = "owner/edits") -> str:
    """Fetch what cannot be had; returns the one line that tells so."""
    with pytest.raises(UserError) as error:
        fetch(rest)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_branch_is_resolved_to_a_commit_that_the_manifest_records(hub, tmp_path):
    """With the environment's HF_ENDPOINT, as a user has it."""
    commit = hub.publish("owner/edits", {"train.jsonl": TRAIN})
    project = Project.new(tmp_path / "project", {"data.source": "hub:owner/edits@main"})
    project.run("python -m stages.fetch_data", HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "home"))
    (manifest,) = json.loads((project.folder / "data/raw/manifest.json").read_text(encoding="utf-8"))
    assert (manifest["source"], manifest["revision"]) == ("hub:owner/edits@main", commit)
    assert list(manifest["files"]) == ["train.jsonl"]


def test_a_data_set_comes_without_what_no_reader_reads(hub):
    commit = hub.publish("owner/edits", {"data/train.jsonl": TRAIN, "README.md": b"#", "evil.py": b"raise SystemExit"})
    fetched = fetch_data("hub:owner/edits")
    assert [path.relative_to(fetched.root).as_posix() for path in fetched.files] == ["data/train.jsonl"]
    assert fetched.revision == commit
    assert hub.downloads() == {"data/train.jsonl", "README.md"}  # its card may say what is in it


CARD = b"""---
configs:
- {config_name: en, data_files: [{split: train, path: en/a.jsonl}, {split: test, path: en/b.jsonl}]}
- {config_name: de, data_files: de/*}
---
"""


def test_a_configuration_is_named_where_there_are_several(hub):
    files = {"en/a.jsonl": TRAIN, "en/b.jsonl": TRAIN, "de/train.jsonl": TRAIN, "README.md": CARD}
    commit = hub.publish("owner/edits", files)
    fetched = fetch_data(f"hub:owner/edits/en@{commit}")
    assert (fetched.revision, fetched.config) == (commit, "en")
    assert {path.name: fetched.splits[path] for path in fetched.files} == {"a.jsonl": "train", "b.jsonl": "test"}
    assert [path.name for path in fetch_data("hub:owner/edits/de").files] == ["train.jsonl"]
    with pytest.raises(UserError, match=r"has the configurations en, de; name one: hub:owner/edits/CONFIG"):
        fetch_data("hub:owner/edits")
    with pytest.raises(UserError, match=r"hub:owner/edits/fr: no configuration 'fr'; it has en, de"):
        fetch_data("hub:owner/edits/fr")


def test_a_model_comes_without_pickles_and_code(hub):
    files = ("config.json", "model.safetensors", "modeling.py", "pytorch_model.bin", "tokenizer.json")
    hub.publish("owner/model", {name: name.encode() for name in files}, kind="models")
    fetched = fetch_model("hub:owner/model@main", None)
    assert [path.name for path in fetched.files] == ["config.json", "model.safetensors", "tokenizer.json"]
    assert hub.downloads() == {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_model_of_pickled_weights_only_is_refused(hub):
    hub.publish("owner/model", {"config.json": b"{}", "pytorch_model.bin": b"p"}, kind="models")
    with pytest.raises(UserError, match=r"^model\.source: .*\*\.safetensors are needed; pickled weights are not read"):
        fetch_model("hub:owner/model", None)


def test_a_pinned_commit_stays_that_commit(hub):
    old = hub.publish("owner/edits", {"train.jsonl": b"old"})
    hub.publish("owner/edits", {"train.jsonl": b"new"})
    assert fetch(f"owner/edits@{old}") == ({"train.jsonl": b"old"}, old)
    assert fetch("owner/edits@main")[0] == {"train.jsonl": b"new"}


def test_a_branch_that_moves_while_downloading_gives_one_commits_files(hub):
    commit = hub.publish("owner/edits", {"a.jsonl": b"old a", "b.jsonl": b"old b"})
    hub.on_file = lambda: hub.publish("owner/edits", {"a.jsonl": b"new a", "b.jsonl": b"new b"})
    assert fetch() == ({"a.jsonl": b"old a", "b.jsonl": b"old b"}, commit)


def test_a_commit_that_vanishes_while_downloading_is_told(hub):
    commit = hub.publish("owner/edits", {"a.jsonl": b"a", "b.jsonl": b"b"})
    hub.on_file = hub.repositories["datasets/owner/edits"].commits.clear
    assert f"hub:owner/edits has no revision '{commit}' (any more)" in refused()


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("owner/absent", "hub:owner/absent does not exist, or is private and HF_TOKEN may not read it"),
        ("owner/locked", "hub:owner/locked is gated; accept its terms on the hub and set HF_TOKEN"),
        ("owner/edits@v9", "hub:owner/edits has no revision 'v9' (any more); name one that it has after the @"),
        ("owner/notes", "hub:owner/notes has no file of a known kind (*.jsonl, *.parquet); name another"),
        ("a/b/c", "hub:a/b/c is no repository's name"),
    ],
)
def test_what_the_hub_does_not_give_is_told_in_one_line(hub, rest, message):
    hub.publish("owner/edits", {"train.jsonl": TRAIN})
    hub.publish("owner/locked", {"train.jsonl": TRAIN}, token="of another")  # noqa: S106
    hub.publish("owner/notes", {"README.md": b"#"})
    assert refused(rest).startswith(f"data.source: {message}")
    assert hub.waits == []


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", None], ids=["nobody answers", "busy"])
def test_a_hub_that_stays_out_of_reach_names_the_offline_default(hub, monkeypatch, endpoint):
    monkeypatch.setattr(constants, "ENDPOINT", endpoint or hub.url)
    hub.busy = [("/api/", 503, {})] * 99
    told = r"data\.source: hub:owner/edits cannot be reached \(.+\); .* with no network use data\.source=sample"
    assert re.fullmatch(told, refused())
    assert hub.waits == [client.WAIT]


def test_an_offline_client_is_told(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refused()


def test_the_environments_token_opens_a_gated_repository_and_is_kept_secret(hub, monkeypatch, capfd):
    """The hub alone gets it, not the host that stores the files; nothing prints it."""
    hub.publish("owner/locked", {"train.parquet": LARGE}, token="hf_secret")  # noqa: S106
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
    hub.busy = [("/resolve/", 503, {})]
    assert fetch("owner/locked")[0] == {"train.parquet": LARGE}
    assert {asked.token for asked in hub.requests if not asked.path.startswith("/storage/")} == {"hf_secret"}
    assert {asked.token for asked in hub.requests if asked.path.startswith("/storage/")} == {None}
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    hub.busy = [("/api/", 401, {"X-Error-Message": "Invalid credentials in Authorization header"})]
    message = refused("owner/locked")
    assert "is refused (the hub answers 401); check that HF_TOKEN is valid" in message
    assert "hf_" not in "".join((message, *capfd.readouterr()))


def test_a_token_of_a_file_is_not_sent(hub, tmp_path, monkeypatch):
    (tmp_path / "token").write_text("hf_stored")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    assert huggingface_hub.get_token() == "hf_stored"
    hub.publish("owner/edits", {"train.jsonl": TRAIN})
    fetch()
    assert {asked.token for asked in hub.requests} == {None}


def test_a_listing_without_a_commit_is_refused(hub):
    hub.publish("owner/edits", {"train.jsonl": TRAIN})
    hub.info = lambda info: info | {"sha": None}
    assert "comes without a commit; check that HF_ENDPOINT is a hub's address" in refused()
    assert hub.downloads() == set()


def test_a_path_that_leads_out_of_the_folder_is_refused(hub, tmp_path):
    hub.publish("owner/edits", {"train.jsonl": TRAIN})
    hub.listing = lambda files: [file | {"path": "../../train.jsonl"} for file in files]
    assert "cannot contain a '..' path segment" in refused()
    assert list(tmp_path.rglob("train.jsonl")) == []


def test_a_proxys_page_is_not_taken_for_a_hub(hub):
    hub.busy = [("/api/", 200, {"Content-Type": "text/html"})]
    assert "something that is no hub; check HF_ENDPOINT" in refused()


@pytest.mark.parametrize("where", ["/api/", "/tree/", "/resolve/", "/storage/"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_asked_again(hub, where, status):
    hub.publish("owner/edits", {"train.parquet": LARGE})
    hub.busy = [(where, status, {"Retry-After": "0"})]
    assert fetch()[0] == {"train.parquet": LARGE}


def test_a_hub_that_asks_for_a_day_is_not_left_alone_so_long(hub):
    hub.publish("owner/edits", {"train.jsonl": TRAIN})
    hub.busy = [("/api/", 429, {"Retry-After": "86400"})]
    fetch()
    assert hub.waits == [client.LONGEST_WAIT]


def test_a_hub_that_falls_silent_is_asked_again(hub, monkeypatch):
    hub.publish("owner/edits", {"train.jsonl": TRAIN})
    monkeypatch.setattr(client, "TIMEOUT", 0.1)
    hub.silent = "/api/"
    assert fetch()[0] == {"train.jsonl": TRAIN}
    assert hub.waits == [client.WAIT]


@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet"])
def test_a_download_that_breaks_starts_again(hub, name, resets):
    commit = hub.publish("owner/edits", {name: LARGE})
    hub.cuts, hub.resets = [10_000], resets
    assert fetch() == ({name: LARGE}, commit)


@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet"])
@pytest.mark.parametrize(
    "damage",
    [lambda content: content.replace(b"\x07", b"\x08"), lambda content: content[:-9], lambda content: content + b"x"],
    ids=["other bytes", "cut short", "too long"],
)
def test_a_damaged_file_is_loaded_again_and_never_used(hub, name, damage):
    hub.publish("owner/edits", {name: LARGE})
    hub.altered = [damage] * 99
    assert "hub:owner/edits arrives damaged" in refused()
    hub.altered = [damage]
    assert fetch()[0] == {name: LARGE}


def test_whole_files_are_loaded_once_and_damaged_ones_again(hub):
    hub.publish("owner/edits", {"a.jsonl": b"a", "b.jsonl": b"b", "empty.jsonl": b""})
    folder, _ = client.snapshot("dataset", "owner/edits", PATTERNS, "data.source")
    hub.requests.clear()
    Path(folder, "b.jsonl").write_bytes(b"x")
    assert fetch()[0] == {"a.jsonl": b"a", "b.jsonl": b"b", "empty.jsonl": b""}
    assert "b.jsonl" in hub.downloads()


def test_files_in_the_hubs_own_cache_are_taken_from_there_unless_damaged(hub):
    commit = hub.publish("owner/edits", {"a.jsonl": b"a", "b.jsonl": b"b"})
    cached = Path(constants.HF_HUB_CACHE, "datasets--owner--edits", "snapshots", commit)
    cached.mkdir(parents=True)
    (cached / "a.jsonl").write_bytes(b"a")
    (cached / "b.jsonl").write_bytes(b"x")
    assert fetch()[0] == {"a.jsonl": b"a", "b.jsonl": b"b"}
    assert "b.jsonl" in hub.downloads()


@pytest.mark.parametrize(
    ("listing", "told"),
    [
        (lambda files: files[:1], "arrives damaged (Consistency check failed: b.jsonl)"),
        (lambda files: [{"type": "file", "path": file["path"], "size": 1} for file in files], "that is no hub"),
    ],
    ids=["lacks a file", "no digests"],
)
def test_files_that_cannot_be_verified_are_refused(hub, listing, told):
    hub.publish("owner/edits", {"a.jsonl": b"a", "b.jsonl": b"b"})
    hub.listing = listing
    assert told in refused()


def test_a_full_disk_is_not_taken_for_a_hub_out_of_reach(hub):
    hub.publish("owner/edits", {"train.jsonl": LARGE})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert hub.waits == []


def test_what_a_killed_run_left_is_removed(hub, tmp_path):
    hub.publish("owner/edits", {"train.jsonl": LARGE})
    caches = {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_ASSETS_CACHE": str(tmp_path / "assets"),
    }
    code = "from fluency.sources.hub import snapshot; snapshot('dataset', 'owner/edits', ['*.jsonl'], 'data.source')"
    run = subprocess.Popen([sys.executable, "-c", code], env=os.environ | caches)
    hub.on_file = run.kill
    assert run.wait() == -signal.SIGKILL
    hub.on_file = lambda: None
    assert list(tmp_path.rglob("*.incomplete"))
    assert fetch()[0] == {"train.jsonl": LARGE}
    assert not list(tmp_path.rglob("*.incomplete"))


def test_two_runs_at_once_load_a_file_once(hub):
    """As queued experiments do. Without a lock, the second would ask while the first waits for it."""
    hub.publish("owner/edits", {"train.jsonl": TRAIN})
    second, sent = threading.Event(), []
    hub.on_file = lambda: sent.append(1) or (second.wait(0.3) if len(sent) == 1 else second.set())
    with ThreadPoolExecutor() as pool:
        assert [files for files, _ in pool.map(fetch, ["owner/edits"] * 2)] == [{"train.jsonl": TRAIN}] * 2
    assert len(sent) == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(hub, monkeypatch, terminal):
    huggingface_hub.utils.enable_progress_bars()  # other tests of this process disable them
    hub.publish("owner/edits", {"train.jsonl": TRAIN})
    screen = io.StringIO()
    screen.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", screen)
    fetch()
    assert ("54.0kB / 54.0kB" in screen.getvalue()) == bool(screen.getvalue()) == terminal
