"""The order in which training rows are seen: a function of the rows, seed, epoch and the global batch alone."""

from collections.abc import Hashable, Iterator, Sequence

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
        edits: for each row, what it has in common with its reverse and with no other row.
        batch: rows of a batch.
        global_batch: rows of one optimiser step, over all processes and accumulation steps.
        seed: seed of the order; the epoch is added to it.
        process: which of the processes.
        processes: how many there are.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        edits: Sequence[Hashable],
        *,
        batch: int,
        global_batch: int,
        seed: int,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        rows_of: dict[Hashable, list[int]] = {}
        for row, edit in enumerate(edits):
            rows_of.setdefault(edit, []).append(row)
        self.units = list(rows_of.values())
        self.lengths = lengths
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
        yield from self._order().reshape(-1, self.batch)[self.process :: self.processes].tolist()

    def _rows(self) -> int:
        """Rows of an epoch, in whole global batches."""
        return -(-len(self.lengths) // self.global_batch) * self.global_batch

    def _order(self) -> np.ndarray:
        """All rows of the epoch, of shape [rows]."""
        rng = np.random.default_rng((self.seed, self.epoch))
        units = [self.units[unit] for unit in rng.permutation(len(self.units))]
        pool = _POOL * self.global_batch // 2  # units, most of which are two rows
        order = [row for start in range(0, len(units), pool) for row in self._by_length(units[start : start + pool])]
        order = np.resize(order, self._rows())  # np.resize repeats from the start
        batches = order.reshape(-1, self.global_batch)
        return batches[rng.permutation(len(batches))].ravel()

    def _by_length(self, units: list[list[int]]) -> list[int]:
        """Rows sorted by length, those without a reverse last, lest they push the two rows of others apart."""
        ranked = sorted(units, key=lambda rows: (len(rows) == 1, self.lengths[rows[0]]))
        return [row for rows in ranked for row in rows]
