"""A hub's repository at one commit, downloaded; every file has the digest that the commit gives it.

huggingface_hub asks and tells the errors apart. The transfer is done here, because its own (2.4) throws a half-loaded
file away when it fails, gives up at a 503 or a reset connection, and compares sizes but no digests.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from json import JSONDecodeError
from operator import attrgetter
from pathlib import Path, PurePosixPath
from time import sleep
from typing import TypeVar

from httpx2 import HTTPError, NetworkError, RemoteProtocolError, Timeout, TimeoutException
from huggingface_hub import HfApi, cached_assets_path, get_session, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import DatasetInfo, ModelInfo, RepoSibling
from huggingface_hub.utils import WeakFileLock, build_hf_headers, filter_repo_objects, hf_raise_for_status, tqdm

from fluency.utils.errors import UserError
from fluency.utils.files import sha256

WAITS = (1.0, 2.0, 4.0)  # seconds before each further try
LONGEST_WAIT = 120.0  # seconds; a hub that asks for more is better told to the user than waited for
TIMEOUT = Timeout(30, connect=10)  # seconds without a byte

_BUSY = (408, 429, 500, 502, 503, 504)
_BROKEN = (TimeoutException, NetworkError, RemoteProtocolError)

T = TypeVar("T")
RepoInfo = ModelInfo | DatasetInfo


def snapshot(kind: str, rest: str, patterns: list[str], key: str) -> tuple[Path, str]:
    """Download a hub repository's files at the commit that a revision stands for now.

    The token, if any, is HF_TOKEN of the environment. Whole files of an earlier run, or of another program's hub cache,
    are used again, and a half-loaded one is continued.

    Args:
        kind: `dataset` or `model`.
        rest: `OWNER/NAME[@REVISION]`; the revision is a branch, a tag or a commit.
        patterns: globs of the files wanted.
        key: the parameter that named the repository, for errors.

    Returns:
        A folder that has the files under their paths in the repository, and the commit.

    Raises:
        UserError: the repository, the revision or a file wanted is not there, not readable or arrives damaged, or the
            hub stays out of reach.
    """
    repo, name = rest.partition("@")[0], _name(rest, key)
    token, info = _token(), commit(kind, rest, key)
    wanted = list(filter_repo_objects(info.siblings or (), allow_patterns=patterns, key=attrgetter("rfilename")))
    if not wanted:
        raise UserError(f"{name} has no file of a known kind ({', '.join(patterns)}); name another repository")
    if not info.sha or not all(_is_pinned(file) for file in wanted):
        raise UserError(f"{name} comes without commit or digests; check that HF_ENDPOINT is a hub's address")
    folder = cached_assets_path("fluency", f"{kind}s/{repo}", info.sha)
    # Of two runs at once the second waits and finds the files.
    with _told(name, kind, info.sha), WeakFileLock(folder.with_suffix(".lock")):
        for file in wanted:
            cached = try_to_load_from_cache(repo, file.rfilename, revision=info.sha, repo_type=kind)
            url = hf_hub_url(repo, file.rfilename, repo_type=kind, revision=info.sha)
            if not _fetch(file, folder / file.rfilename, cached, url, build_hf_headers(token=token)):
                raise UserError(f"{name}: {file.rfilename} arrives damaged; try again later or over another network")
    return folder, info.sha


def commit(kind: str, rest: str, key: str) -> RepoInfo:
    """What the hub says of a repository at the commit that its revision stands for now; arguments as for `snapshot`.

    Raises:
        UserError: the repository or the revision is not there or not readable, or the hub stays out of reach.
    """
    repo, _, revision = rest.partition("@")
    with _told(_name(rest, key), kind, revision or "main"):
        ask = partial(HfApi(token=_token()).repo_info, repo, repo_type=kind, files_metadata=True, timeout=TIMEOUT)
        return _patiently(partial(ask, revision=revision or None))


def _name(rest: str, key: str) -> str:
    return f"{key}: hub:{rest.partition('@')[0]}"


def _token() -> str | bool:
    """HF_TOKEN of the environment, or False for none; an error would show one with a line break."""
    return "".join(os.environ.get("HF_TOKEN", "").split()) or False


def _is_pinned(file: RepoSibling) -> bool:
    """Whether the listing says what the file must hold, and its path stays in its folder."""
    path = PurePosixPath(file.rfilename)
    inside = not path.is_absolute() and ".." not in path.parts
    return inside and file.size is not None and (file.lfs is not None or file.blob_id is not None)


def _is_whole(path: Path, file: RepoSibling) -> bool:
    """Whether `path` holds what the commit has: by its SHA-256 in large file storage, else by its object id in git."""
    if not path.is_file():
        return False
    if file.lfs:
        return sha256(path) == file.lfs.sha256
    blob = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: blob).hexdigest() == file.blob_id


def _fetch(file: RepoSibling, target: Path, cached: object, url: str, headers: dict[str, str]) -> bool:
    """Make `target` the whole file; False where what arrives isn't."""
    if _is_whole(target, file):
        return True
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(cached, str):
        shutil.copyfile(cached, part)
    for _ in range(2):  # what is there already may be what is damaged, so once more from the start
        part.touch()
        _download(url, part, file.size, headers)
        if _is_whole(part, file):
            part.replace(target)
            return True
        part.unlink()
    return False


def _download(url: str, part: Path, size: int, headers: dict[str, str]) -> None:
    """Load what `part` lacks of `size` bytes, as far as the hub has it."""
    while (have := part.stat().st_size) < size:
        _patiently(partial(_continue, url, part, size, headers))
        if part.stat().st_size <= have:
            return


def _continue(url: str, part: Path, size: int, headers: dict[str, str]) -> None:
    """Load into `part` from where it ends; a connection that breaks is an error only when it brought nothing."""
    have = part.stat().st_size
    headers = headers | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
            if response.status_code == 416:  # the hub has no more than this
                return
            hf_raise_for_status(response)
            kept = have if response.status_code == 206 else 0
            bar = tqdm(desc=part.stem, total=size, initial=kept, unit="B", unit_scale=True, disable=None)
            with bar, part.open("ab" if kept else "wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)
                    bar.update(len(chunk))
    except _BROKEN:
        if part.stat().st_size <= have:
            raise


def _patiently(call: Callable[[], T]) -> T:
    """Call again, a few times and ever later, while the hub is busy or the connection breaks."""
    for wait in WAITS:
        try:
            return call()
        except (HfHubHTTPError, *_BROKEN) as error:
            if isinstance(error, HfHubHTTPError) and error.response.status_code not in _BUSY:
                raise
            seconds = max(wait, _asked_wait(error))
            print(f"{_reason(error)}; trying again in {seconds:g} s", file=sys.stderr)
            sleep(seconds)
    return call()


def _asked_wait(error: HTTPError) -> float:
    """Seconds that a busy hub asks to be left alone."""
    asked = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return min(float(asked), LONGEST_WAIT) if asked.isdecimal() else 0.0


def _reason(error: Exception) -> str:
    if isinstance(error, HfHubHTTPError):
        return f"the hub answers {error.response.status_code}"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _told(name: str, kind: str, revision: str) -> Iterator[None]:
    """Tell the hub's errors in a line that starts with the repository's `name`."""
    try:
        yield
    except (HTTPError, OfflineModeIsEnabled, ValueError) as error:
        raise UserError(f"{name} {_problem(error, kind, revision)}") from None


def _problem(error: Exception, kind: str, revision: str) -> str:
    """What is wrong with a repository, and what to do about it."""
    if isinstance(error, GatedRepoError):
        return "is gated; accept its terms on the hub and set HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError):
        return "does not exist, or is private and HF_TOKEN may not read it"
    if isinstance(error, RevisionNotFoundError):
        return f"has no revision {revision!r} (any more); name one that it has after the @"
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
        return f"is refused ({_reason(error)}); check that HF_TOKEN is valid and may read it"
    if isinstance(error, JSONDecodeError):
        return "is answered for by something that is no hub; check HF_ENDPOINT and the network's proxy"
    if isinstance(error, HFValidationError):
        return f"is no repository's name ({_reason(error)})"
    offline = "data.source=sample" if kind == "dataset" else "a folder of this machine"
    return f"cannot be reached ({_reason(error)}); try again later, or with no network use {offline}"
