"""The device of one process, and its share of the machine."""

import os
from dataclasses import dataclass

import torch

from fluency.utils.processes import keep_memory


@dataclass(frozen=True)
class Device:
    """How one process runs.

    Attributes:
        type: `cuda` or `cpu`.
        bf16: whether matrix products run in bfloat16.
        index: which of the GPUs.
    """

    type: str
    bf16: bool
    index: int = 0

    @property
    def name(self) -> str:
        """What torch calls it: `cpu`, `cuda:0`."""
        return f"{self.type}:{self.index}" if self.type == "cuda" else self.type

    @property
    def batch_tokens(self) -> int:
        """Padded tokens of a batch: what a CPU keeps in its caches; a GPU would wait for the launches of so few."""
        return 2048 if self.type == "cpu" else 16_384


def device_at_hand() -> Device:
    """The device of this process; of several that a launcher started, each has a GPU of its own.

    A CPU computes in float32, also where it has bfloat16: scores would differ in the third digit between machines.
    """
    if torch.cuda.is_available():
        index = int(os.environ.get("LOCAL_RANK") or 0) % torch.cuda.device_count()  # a launcher may show each but one
        return Device("cuda", gpu_has_bf16(), index)
    return Device("cpu", bf16=False)


def gpu_has_bf16() -> bool:
    """Whether the GPU computes in bfloat16; older ones only emulate it, slower than float32."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def use_machine() -> int:
    """Set this process's threads, and have it keep memory, as `keep_memory` says.

    Returns:
        The threads: its share of the cores, or alone what OMP_NUM_THREADS says.
    """
    keep_memory()
    together = int(os.environ.get("LOCAL_WORLD_SIZE") or 0)  # the launcher leaves each of several one thread
    threads = max(1, _cores() // together) if together else int(os.environ.get("OMP_NUM_THREADS") or _cores())
    torch.set_num_threads(threads)
    return threads


def _cores() -> int:
    """The cores this process may use; platforms that cannot tell say all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
