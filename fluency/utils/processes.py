"""Processes: stages, locks that end with their holder, children that end with their parent, memory used again."""

import ctypes
import fcntl
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import fluency
from fluency.utils.errors import UserError, exit_in_one_line

PROCESS = os.getpid()  # a process that finds another here was forked, and left torch's threads behind
_PR_SET_PDEATHSIG = 1  # of prctl(2)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage of the pipeline, and end as `exit_in_one_line` does; a stage that succeeds tells its time.

    DVC runs queued experiments in a copy of the repository. A stage that imported the library from elsewhere would
    report the results of other code, so it refuses to run. A stage whose DVC was killed ends, too.
    """
    die_with_parent(os.environ)
    imported, here = Path(fluency.__file__).parent.parent, Path.cwd()
    if imported.resolve() != here.resolve():
        sys.exit(f"error: fluency was imported from {imported}, not from {here}; uninstall that copy, run at the root")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # a new classification head is no news here
    started = time.perf_counter()
    exit_in_one_line(main)
    if os.environ.get("RANK") in (None, "", "0"):  # of several processes, one
        print(f"{Path(sys.argv[0]).stem} took {time.perf_counter() - started:.0f} s")


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


def share_of_work(environment: Mapping[str, str]) -> tuple[int, int]:
    """The number of this process, and of how many that share the work, as a launcher says; empty counts as not there.

    Raises:
        UserError: there is no such process.
    """
    rank, processes = environment.get("RANK") or "0", environment.get("WORLD_SIZE") or "1"
    if not (rank.isdecimal() and processes.isdecimal() and int(rank) < int(processes)):
        raise UserError(f"RANK={rank}, WORLD_SIZE={processes}: processes are numbered from 0; set both, or none")
    return int(rank), int(processes)


def keep_memory() -> None:
    """Have this process keep memory of less than 1 GiB that it frees, for what it needs next (glibc only).

    Else the memory of each large tensor goes back to the system, which clears it page by page for the next one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_MMAP_THRESHOLD, 2**30)


@contextmanager
def no_collection() -> Iterator[None]:
    """Look for no cycles meanwhile: where many objects are made and none of them is in one, it only takes time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
