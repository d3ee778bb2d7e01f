"""Waiting for what another process does: never longer than it lives."""

import multiprocessing
import subprocess
from collections.abc import Callable

Process = subprocess.Popen | multiprocessing.Process


def wait_until(holds: Callable[[], bool], process: Process) -> None:
    """Wait until something holds that `process` is to bring about."""
    while not holds():
        assert not ended_within(0.001, process), "ended too early"


def ended_within(seconds: float, process: Process) -> bool:
    """Whether the process ends in that time; returns as soon as it does."""
    if isinstance(process, subprocess.Popen):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
    process.join(seconds)
    return not process.is_alive()
