"""Processes: locks that end with their holder, and children that end with their parent."""

import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

PROCESS = os.getpid()  # a process that finds another here was forked, and left torch's threads behind
_PR_SET_PDEATHSIG = 1  # of prctl(2)


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


def die_with_parent(environment: Mapping[str, str]) -> None:
    """End this process when DVC or the launcher that started it is killed (Linux only).

    An orphan would write over the next run's files. A process that a user started is left alone: it may outlive
    its shell.
    """
    if sys.platform == "linux" and ("TORCHELASTIC_RUN_ID" in environment or "DVC_STAGE" in environment):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
