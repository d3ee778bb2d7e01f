"""Files of a DVC repository at a revision: git has some, DVC's cache or a remote the others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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
