"""Whether the workspace's results are those of its code, params and data: DVC compares them with dvc.lock."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fluency.utils.errors import UserError


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
        """A sentence about stale results; empty where there are none."""
        names = ", ".join(self.stale)
        return f"the workspace's results are not of its code, params and data ({names}); `dvc repro`" if names else ""


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
    missing = [stage for stage, changes in state.items() if set(_leaves(changes)) == {"deleted"}]
    return Freshness([stage for stage in state if stage not in missing], missing)


def _leaves(changes: Any) -> Iterator[str]:
    """What changed and how, as in `[{"changed deps": {"params.yaml": {"train": "modified"}}}]`."""
    if isinstance(changes, str):
        yield changes
    else:
        for change in changes.values() if isinstance(changes, dict) else changes:
            yield from _leaves(change)
