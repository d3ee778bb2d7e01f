"""Locks: one process at a time, and none once its holder is gone, however it went."""

import fcntl
import os
from pathlib import Path


def locked(path: Path, flags: int = os.O_RDONLY) -> int | None:
    """A descriptor that locks `path` until it is closed, by the process's end at the latest; None if another does.

    Args:
        flags: with which the path is opened.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
