"""The order in which training rows are seen: a function of the rows, seed, epoch and the global batch alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

_POOL = 50  # batches sorted by length together: enough for little padding, few enough to keep the order random


class GlobalBatchSampler(Sampler[list[int]]):
    """One process's batches of rows: its share of whole global batches of similar length.

    An edit and its reverse stand in the same global batch.

    The two directions of an edit differ in hardly anything but their label. Apart, the gradient of what the sentence
    says drowns that of what the edit does, and a small model stays at chance; together, it cancels out.

    The processes take batches in turn, so that any number of them sees the same global batches. The last is filled up
    from the epoch's first rows, so that no process comes short.

    Args:
        lengths: tokens of each row.
        edits: for each row a number that its reverse has too, and no other row.
        batch: rows of a batch.
        global_batch: rows of one optimiser step, over all processes and accumulation steps.
        seed: seed of the order; the epoch is added to it.
        process: which of the processes.
        processes: how many there are.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        edits: Sequence[int] | np.ndarray,
        *,
        batch: int,
        global_batch: int,
        seed: int,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        _, first, unit = np.unique(np.asarray(edits), return_index=True, return_inverse=True)
        # units are the rows of one edit, in the order in which they come; each is a stretch of `unit_rows`
        self.unit_rows = np.argsort(first[unit], kind="stable")
        self.counts = np.bincount(unit)[np.argsort(first)]
        self.starts = np.cumsum(self.counts) - self.counts
        self.lengths = np.asarray(lengths)
        self.batch, self.global_batch = batch, global_batch
        self.process, self.processes = process, processes
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Take the order of another epoch; training loops call it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._rows() // (self.batch * self.processes)

    def __iter__(self) -> Iterator[list[int]]:
        yield from map(np.ndarray.tolist, self._order().reshape(-1, self.batch)[self.process :: self.processes])

    def _rows(self) -> int:
        """Rows of an epoch, in whole global batches."""
        return -(-len(self.lengths) // self.global_batch) * self.global_batch

    def _order(self) -> np.ndarray:
        """All rows of the epoch, of shape [rows]."""
        rng = np.random.default_rng((self.seed, self.epoch))
        units = rng.permutation(len(self.counts))
        pool = np.arange(len(units)) // (_POOL * self.global_batch // 2)  # of units, most of which are two rows
        # by length within a pool; those without a reverse last, lest they push the two rows of others apart
        lengths, alone = self.lengths[self.unit_rows[self.starts[units]]], self.counts[units] == 1
        units = units[np.lexsort((lengths, alone, pool))]
        order = np.resize(self.unit_rows[self._stretches(units)], self._rows())  # np.resize repeats from the start
        batches = order.reshape(-1, self.global_batch)
        return batches[rng.permutation(len(batches))].ravel()

    def _stretches(self, units: np.ndarray) -> np.ndarray:
        """Where the rows of the units stand in `unit_rows`, one unit after the other."""
        counts = self.counts[units]
        begins = np.cumsum(counts) - counts
        return np.repeat(self.starts[units] - begins, counts) + np.arange(counts.sum())
