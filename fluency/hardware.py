"""What the devices at hand do well: where to run, in which precision, on how many threads."""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

import torch

_PR_SET_PDEATHSIG = 1  # of prctl(2)


@dataclass(frozen=True)
class Device:
    """How one process runs.

    Attributes:
        type: `cuda` or `cpu`.
        bf16: whether matrix products run in bfloat16 (autocast).
        threads: CPU threads of this process.
        processes: how many processes train together.
    """

    type: str
    bf16: bool
    threads: int
    processes: int

    def __str__(self) -> str:
        precision = "bf16" if self.bf16 else "float32"
        return f"{self.processes} process(es) on {self.type}, {precision}, {self.threads} thread(s) each"


def device_at_hand(*, bf16_wanted: bool = True) -> Device:
    """Choose the device, and set this process's threads.

    bfloat16 is used on GPUs that have it. On CPUs it isn't: at the recipe's batch of 8 it gains little even with
    AVX512-BF16 (`make bench` measures it), and float32 gives nearer results on another machine.
    """
    cuda = torch.cuda.is_available()
    local_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    threads = max(1, _cores() // local_processes)
    torch.set_num_threads(threads)  # the launcher leaves each process one thread
    bf16 = bf16_wanted and cuda and torch.cuda.is_bf16_supported()
    return Device("cuda" if cuda else "cpu", bf16, threads, int(os.environ.get("WORLD_SIZE", "1")))


def _cores() -> int:
    """The cores this process may use; platforms that cannot tell say all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def die_with_launcher(environment: Mapping[str, str]) -> None:
    """End this process when its launcher is killed: an orphan would write over the next run's files (Linux only)."""
    if "TORCHELASTIC_RUN_ID" in environment and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def leave_lonely_group(environment: MutableMapping[str, str]) -> None:
    """Make a distributed launch of one process a plain one: a group of one only copies gradients to itself.

    For CPUs alone: on a machine of several GPUs the Trainer of a plain process would spread each batch over all.
    """
    if environment.get("WORLD_SIZE") == "1":
        for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK"):
            environment.pop(name, None)
