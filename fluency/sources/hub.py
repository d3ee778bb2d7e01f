"""A hub's repository at one commit, as local files that have the digests of that commit."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from json import JSONDecodeError
from pathlib import Path
from time import sleep
from typing import TypeVar

from httpx2 import HTTPError
from huggingface_hub import HfApi, cached_assets_path, snapshot_download
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import DatasetInfo, ModelInfo
from huggingface_hub.utils import WeakFileLock, filter_repo_objects, tqdm

from fluency.utils.errors import UserError

WAIT, LONGEST_WAIT = 5.0, 120.0  # seconds before the second try; a hub may ask for more, up to the longest
TIMEOUT = 30.0  # seconds

_DAMAGED = "Consistency check failed"  # as huggingface_hub has it, where the size is wrong
_FINAL = (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError, HFValidationError, OfflineModeIsEnabled)

T = TypeVar("T")
RepoInfo = ModelInfo | DatasetInfo


def snapshot(kind: str, rest: str, patterns: list[str], key: str) -> tuple[Path, str]:
    """Download a hub repository's files at the commit that a revision stands for now.

    The token, if any, is HF_TOKEN of the environment. Whole files of an earlier run, or of the hub's own cache on this
    machine, are used again. Every file is held against the digest that the commit gives it.

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
    info = commit(kind, rest, key)
    if not info.sha:
        raise UserError(f"{name} comes without a commit; check that HF_ENDPOINT is a hub's address")
    wanted = list(filter_repo_objects([file.rfilename for file in info.siblings or ()], allow_patterns=patterns))
    if not wanted:
        raise UserError(f"{name} has no file of a known kind ({', '.join(patterns)[:200]}); name another repository")
    folder = cached_assets_path("fluency", f"{kind}s/{repo}", info.sha)
    its = {"repo_type": kind, "revision": info.sha, "local_dir": folder, "token": _token()}
    bar = partial(tqdm, disable=None)  # on a terminal only
    download = partial(snapshot_download, repo, allow_patterns=patterns, tqdm_class=bar, **its)
    verify = partial(HfApi().verify_repo_checksums, repo, **its)
    # Of two runs at once the second waits and finds the files.
    with _explained(name, kind, info.sha), WeakFileLock(folder.with_suffix(".lock")):
        for left in Path(folder, ".cache").rglob("*.incomplete"):  # by a killed run
            left.unlink()
        for cache in (None, folder):  # what is damaged may come from the hub's own cache; the second time it is empty
            _twice(partial(download, cache_dir=cache))
            found = _twice(verify)
            unlike = {file["path"] for file in found.mismatches} | set(found.extra_paths)
            damaged = [path for path in wanted if path in unlike or not Path(folder, path).is_file()]
            if not damaged:
                return folder, info.sha
            for path in damaged:
                Path(folder, path).unlink(missing_ok=True)
        raise OSError(f"{_DAMAGED}: {damaged[0]}")


def commit(kind: str, rest: str, key: str) -> RepoInfo:
    """What the hub says of a repository at the commit that its revision stands for now; arguments as for `snapshot`.

    Raises:
        UserError: the repository or the revision is not there or not readable, or the hub stays out of reach.
    """
    repo, _, revision = rest.partition("@")
    with _explained(_name(rest, key), kind, revision or "main"):
        ask = partial(HfApi(token=_token()).repo_info, repo, repo_type=kind, timeout=TIMEOUT)
        return _twice(partial(ask, revision=revision or None))


def _name(rest: str, key: str) -> str:
    return f"{key}: hub:{rest.partition('@')[0]}"


def _token() -> str | bool:
    """HF_TOKEN of the environment, or False for none; an error would show one with a line break."""
    return "".join(os.environ.get("HF_TOKEN", "").split()) or False


def _twice(call: Callable[[], T]) -> T:
    """Call once more where the hub was busy or the connection broke."""
    try:
        return call()
    except _FINAL:
        raise
    except (HTTPError, OSError) as error:
        answer = _answer(error)
        if answer is not None and answer.status_code not in (408, 429) and answer.status_code < 500:
            raise
        if _is_of_the_disk(error):
            raise
        asked = answer.headers.get("Retry-After", "") if answer is not None else ""
        seconds = min(max(WAIT, float(asked) if asked.isdecimal() else 0.0), LONGEST_WAIT)
        print(f"{_reason(error)}; trying once more in {seconds:g} s", file=sys.stderr)
        sleep(seconds)
    return call()


def _is_of_the_disk(error: BaseException) -> bool:
    """Whether this machine, not the hub, is to blame: huggingface_hub's own errors have no number."""
    return isinstance(error, OSError) and error.errno is not None


def _answer(error: BaseException) -> object:
    """The hub's answer behind an error, if there was one."""
    cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else error
    return cause.response if isinstance(cause, HfHubHTTPError) else None


def _reason(error: BaseException) -> str:
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__:
        error = error.__cause__
    if (answer := _answer(error)) is not None:
        return f"the hub answers {answer.status_code}"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _explained(name: str, kind: str, revision: str) -> Iterator[None]:
    """Say the hub's errors in a line that starts with the repository's `name`."""
    try:
        yield
    except (HTTPError, OSError, RuntimeError, ValueError, KeyError) as error:  # hf_xet's are RuntimeError
        if _is_of_the_disk(error):
            raise
        raise UserError(f"{name} {_problem(error, kind, revision)}") from None


def _problem(error: Exception, kind: str, revision: str) -> str:
    """What is wrong with a repository, and what to do about it."""
    if isinstance(error, GatedRepoError):
        return "is gated; accept its terms on the hub and set HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError):
        return "does not exist, or is private and HF_TOKEN may not read it"
    if isinstance(error, RevisionNotFoundError):
        return f"has no revision {revision!r} (any more); name one that it has after the @"
    if (answer := _answer(error)) is not None and answer.status_code in (401, 403):
        return f"is refused ({_reason(error)}); check that HF_TOKEN is valid and may read it"
    if isinstance(error, (JSONDecodeError, KeyError)) or isinstance(error.__cause__, FileMetadataError):
        return "is answered for by something that is no hub; check HF_ENDPOINT and the network's proxy"
    if isinstance(error, HFValidationError):
        return f"is no repository's name ({_reason(error)})"
    if _DAMAGED in str(error):
        return f"arrives damaged ({_reason(error)}); try again later or over another network"
    offline = "data.source=sample" if kind == "dataset" else "a folder of this machine"
    return f"cannot be reached ({_reason(error)}); try again later, or with no network use {offline}"
