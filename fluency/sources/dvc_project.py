"""DVC projects: files at a revision, from git, DVC's cache or a remote; and whether the results here are fresh."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fluency.utils.errors import UserError


@contextmanager
def opened(path: str, revision: str) -> Iterator[BinaryIO]:
    """Open a file of this repository at a git revision or DVC experiment.

    Raises:
        UserError: there is no such revision, or no such file in it, in DVC's cache or a remote.
    """
    with _told(revision, path):
        import dvc.api  # takes half a second

        with dvc.api.open(path, rev=revision, mode="rb") as file:
            yield file


def commit_of(url: str, revision: str | None) -> str:
    """The commit that a revision of a repository stands for now.

    Args:
        url: a git repository's address, or a local folder with one.
        revision: a branch, tag, commit or DVC experiment; None for the default branch.

    Raises:
        UserError: there is no such repository or revision.
    """
    with _told(url, revision or "default branch"):
        from dvc.repo import Repo

        with Repo.open(url, rev=revision or _head(url)) as repo:
            return repo.get_rev()


def download(url: str, commit: str, path: str, to: Path) -> None:
    """Copy a file or folder of a repository at a commit to `to`.

    Raises:
        UserError: it is not there, neither in git nor in DVC's cache or a remote.
    """
    with _told(f"{url} at {commit[:12]}", path):
        from dvc.api import DVCFileSystem

        DVCFileSystem(url, rev=commit).get(path, str(to), recursive=True)


def _head(url: str) -> str | None:
    """A local repository without a revision would stand for its working tree."""
    return "HEAD" if Path(url).is_dir() else None


@contextmanager
def _told(where: str, what: str) -> Iterator[None]:
    try:
        from dvc.exceptions import DvcException
        from dvc.scm import CloneError, SCMError
        from dvc_data.index import DataIndexDirError
    except ModuleNotFoundError:
        raise UserError(f"{where}: only DVC can read a repository; pip install dvc") from None
    try:
        yield
    except CloneError:
        raise UserError(f"{where}: no git repository to clone there; check address, access and network") from None
    except (DvcException, SCMError, DataIndexDirError, FileNotFoundError) as error:
        cause = error.__cause__ or error  # DVC's own says "SCM error"
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise UserError(
            f"{where}: no {what} in git, nor in DVC's cache or a remote; check the name, `dvc pull` it here, or "
            f"`dvc push` it where it was made ({reason})"
        ) from None


@dataclass(frozen=True)
class Freshness:
    """Stages that DVC would run.

    Attributes:
        stale: whose results are of other code, params or data; after a run that failed, metrics/ still has them.
        missing: whose outputs are not there, as in a fresh clone.
    """

    stale: list[str]
    missing: list[str]

    @property
    def note(self) -> str:
        """A sentence about stale results, or else about missing outputs; empty where there are neither."""
        stale, missing = ", ".join(self.stale), ", ".join(self.missing)
        if stale:
            return f"the workspace's results are not of its code, params and data ({stale}); `dvc repro`"
        return f"outputs are not here ({missing}); `dvc pull`, or `dvc repro`" if missing else ""


def freshness() -> Freshness:
    """Look at the project of the current folder.

    Raises:
        UserError: DVC cannot tell.
    """
    from dvc.exceptions import DvcException  # takes half a second
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            state = repo.status(targets=["dvc.yaml"])  # the pipeline itself, not what stands beside it
    except DvcException as error:
        raise UserError(
            f"DVC cannot tell whether the results are up to date ({' '.join(str(error).split())})"
        ) from None
    missing = [stage for stage, changes in state.items() if set(_leaves(changes)) <= {"deleted", "not in cache"}]
    return Freshness([stage for stage in state if stage not in missing], missing)


def _leaves(changes: Any) -> Iterator[str]:
    """What changed and how, as in `[{"changed deps": {"params.yaml": {"train": "modified"}}}]`."""
    if isinstance(changes, str):
        yield changes
    else:
        for change in changes.values() if isinstance(changes, dict) else changes:
            yield from _leaves(change)
