"""A small hub on loopback, which answers as the real one does, and fails as asked."""

import hashlib
import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

_INFO = re.compile(r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
_TREE = re.compile(r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/?]+)")
_FILE = re.compile(r"/((?P<kind>datasets)/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


@dataclass
class Repository:
    """Commits with their files, and the branch `main`."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    main: str = ""
    token: str | None = None  # who may read the files of a gated repository


@dataclass
class Request:
    """A request as the hub got it."""

    method: str
    path: str
    token: str | None


@dataclass
class Hub:
    """Repositories, and what shall go wrong.

    Attributes:
        repositories: by `datasets/OWNER/NAME` or `models/OWNER/NAME`.
        stored: the contents of large files, by SHA-256.
        requests: all requests so far.
        waits: the seconds that the client waited, where a test has it put them here instead of waiting.
        busy: answers to give instead, in this order: what the path has to contain, the status and headers.
        silent: what the path has to contain for the next request to hang.
        cuts: after how many bytes to end the connection of each next file; None for not at all.
        resets: whether a cut is a reset rather than an orderly close.
        altered: changes of the next files' bytes on their way.
        on_file: called before a file is sent.
        info, listing: change what is told of a repository, and of its files.
    """

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    busy: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    silent: str | None = None
    cuts: list[int | None] = field(default_factory=list)
    resets: bool = False
    altered: list[Callable[[bytes], bytes]] = field(default_factory=list)
    on_file: Callable[[], None] = lambda: None
    info: Callable[[dict], object] = lambda info: info
    listing: Callable[[list], object] = lambda files: files

    def publish(self, repo: str, files: dict[str, bytes], *, kind: str = "datasets", token: str | None = None) -> str:
        """Commit `files` to the main branch; returns the commit."""
        repository = self.repositories.setdefault(f"{kind}/{repo}", Repository())
        commit = hashlib.sha1(repr((repo, files)).encode(), usedforsecurity=False).hexdigest()
        repository.commits[commit], repository.main, repository.token = files, commit, token
        self.stored |= {_sha256(content): content for content in files.values()}
        return commit

    def downloads(self) -> set[str]:
        """The files asked for."""
        return {match["path"] for asked in self.requests if (match := _FILE.fullmatch(asked.path))}

    def configure(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        """Make this process's client ask this hub, without a token and with its caches in `folder`.

        huggingface_hub reads the environment (HF_ENDPOINT, HF_HOME) only once, when it is imported.
        """
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        template = f"{self.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
        monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(folder / "assets"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        huggingface_hub.close_session()

    def __enter__(self) -> "Hub":
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.storage = f"http://localhost:{self._server.server_port}/storage"  # another host, as a CDN is
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_large(path: str) -> bool:
    return path.endswith((".parquet", ".safetensors"))


def _entry(path: str, content: bytes) -> dict:
    """What the hub tells of a file: git's object id; of a large one, which git has a pointer for, the SHA-256 too."""
    entry = {"type": "file", "path": path, "size": len(content)}
    if _is_large(path):
        entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": 130}
        content = f"a pointer to {entry['lfs']['oid']}".encode()
    blob = f"blob {len(content)}\0".encode() + content
    return entry | {"oid": hashlib.sha1(blob, usedforsecurity=False).hexdigest()}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def handle(self):
        with suppress(ConnectionError):  # the client hung up
            super().handle()

    def do_GET(self):
        hub, path = self.hub, self.path.partition("?")[0]
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ") or None
        hub.requests.append(Request(self.command, path, token))
        if hub.silent and hub.silent in path:
            hub.silent = None
            return self.connection.recv(1)  # until the client hangs up
        if hub.busy and hub.busy[0][0] in path:
            _, status, headers = hub.busy.pop(0)
            return self.answer(status, b"", **headers)
        if path.startswith("/storage/"):
            return self.send_file(hub.stored[path.removeprefix("/storage/")])
        match = _TREE.fullmatch(path) or _INFO.fullmatch(path) or _FILE.fullmatch(path)
        repository = match and hub.repositories.get(f"{match['kind'] or 'models'}/{match['repo']}")
        if not repository:
            return self.answer(401, b"", **{"X-Error-Code": "RepoNotFound"})
        commit = repository.main if match["revision"] in (None, "main") else match["revision"]
        if commit not in repository.commits:
            return self.answer(404, b"", **{"X-Error-Code": "RevisionNotFound"})
        files = repository.commits[commit]
        if match.re is _TREE:
            return self.answer(200, json.dumps(hub.listing([_entry(*file) for file in files.items()])))
        if match.re is _INFO:
            listed = [{"rfilename": name} for name in files]
            return self.answer(200, json.dumps(hub.info({"id": match["repo"], "sha": commit, "siblings": listed})))
        if repository.token and token != repository.token:
            return self.answer(403 if token else 401, b"", **{"X-Error-Code": "GatedRepo"})
        content = files[match["path"]]
        entry = _entry(match["path"], content)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{entry["oid"]}"'}
        if _is_large(match["path"]):
            linked = {"X-Linked-Etag": f'"{entry["lfs"]["oid"]}"', "X-Linked-Size": str(len(content))}
            return self.answer(302, b"", Location=f"{hub.storage}/{_sha256(content)}", **headers, **linked)
        self.send_file(content, **headers)

    do_HEAD = do_GET  # noqa: N815

    def send_file(self, content: bytes, **headers: str):
        if self.command == "HEAD":
            return self.answer(200, content, **headers)
        self.hub.on_file()
        content = self.hub.altered.pop(0)(content) if self.hub.altered else content
        self.answer(200, content, self.hub.cuts.pop(0) if self.hub.cuts else None, **headers)

    def answer(self, status: int, content: bytes | str, cut: int | None = None, **headers: str):
        content = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(content[:cut])
        if cut is not None and self.hub.resets:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, *_):
        pass
