"""The order in which training rows are seen: a function of lengths, seed, epoch and the global batch alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

_POOL = 50  # batches sorted by length together: enough for little padding, few enough to keep the order random


class GlobalBatchSampler(Sampler[int]):
    """Rows in whole global batches of similar length.

    Cutting the order into N processes' shares, batch by batch, gives every N the same global batches. The last batch
    is filled up from the epoch's first rows, so that no process comes short.

    Args:
        lengths: tokens of each row.
        global_batch: rows of one optimiser step, over all processes and accumulation steps.
        seed: seed of the order; the epoch is added to it.
    """

    def __init__(self, lengths: Sequence[int], *, global_batch: int, seed: int) -> None:
        self.lengths = np.asarray(lengths)
        self.global_batch = global_batch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Take the order of another epoch; training loops call it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.global_batch) * self.global_batch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self.lengths))
        order = np.resize(order, len(self))  # np.resize repeats from the start
        pools = np.split(order, range(_POOL * self.global_batch, len(order), _POOL * self.global_batch))
        by_length = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        whole = by_length.reshape(-1, self.global_batch)
        return iter(whole[rng.permutation(len(whole))].ravel().tolist())
