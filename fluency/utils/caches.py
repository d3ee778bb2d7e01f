"""Folders of the user's cache that are made once, whoever asks for them first."""

from collections.abc import Callable
from pathlib import Path

from huggingface_hub.utils import WeakFileLock

from fluency.utils.files import written_aside


def make_once(folder: Path, make: Callable[[Path], object]) -> None:
    """Have `make` fill `folder`, unless it is there; of two processes at once the second waits and finds it.

    Args:
        make: gets an empty folder, which takes the place of `folder` at the end.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            with written_aside(folder) as aside:
                aside.mkdir()
                make(aside)
