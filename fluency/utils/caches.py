"""Folders of the user's cache; what is in them can be made again."""

import os
from collections.abc import Callable
from pathlib import Path

from huggingface_hub.utils import WeakFileLock

from fluency.utils.files import written_aside


def cache_folder(*names: str) -> Path:
    """A folder of the user's cache; what is in it can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "fluency", *names)


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
