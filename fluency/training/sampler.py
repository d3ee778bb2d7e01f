"""The order in which training rows are seen: a function of the rows, seed, epoch and the global batch alone."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from fluency.model.encoding import padded_length, static_lengths

_POOL = 50  # batches sorted by length together: enough for little padding, few enough to keep the order random


class _GlobalBatches(Sampler[list[int]], ABC):
    """One process's batches of rows: its share of whole global batches of similar length.

    An edit and its reverse stand in the same global batch.

    The two directions of an edit differ in hardly anything but their label. Apart, the gradient of what the sentence
    says drowns that of what the edit does, and a small model stays at chance; together, it cancels out.

    The processes take batches in turn, so that any number of them sees the same global batches. The last is filled up
    from the epoch's first rows, so that no process comes short.

    Args:
        lengths: tokens of each row.
        edits: for each row a number that its reverse has too, and no other row.
        batches: batches of one optimiser step, over all processes and accumulation steps.
        seed: seed of the order; the epoch is added to it.
        process: which of the processes.
        processes: how many there are.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        edits: Sequence[int] | np.ndarray,
        *,
        batches: int,
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
        self.batches, self.process, self.processes = batches, process, processes
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Take the order of another epoch; training loops call it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._steps() * self.batches // self.processes

    def __iter__(self) -> Iterator[list[int]]:
        for rows in self._global_batches(np.random.default_rng((self.seed, self.epoch))):
            yield from rows.reshape(self.batches, -1)[self.process :: self.processes].tolist()

    @abstractmethod
    def _steps(self) -> int:
        """Global batches of an epoch."""

    @abstractmethod
    def _global_batches(self, rng: np.random.Generator) -> Sequence[np.ndarray]:
        """The rows of each global batch of the epoch."""

    def _rows(self, units: np.ndarray) -> np.ndarray:
        """The rows of the units, one unit after the other."""
        counts = self.counts[units]
        begins = np.cumsum(counts) - counts
        return self.unit_rows[np.repeat(self.starts[units] - begins, counts) + np.arange(counts.sum())]


class GlobalBatchSampler(_GlobalBatches):
    """Global batches of equally many rows.

    Args:
        batch: rows of a batch.
    """

    def __init__(self, *args: Sequence[int] | np.ndarray, batch: int, batches: int, **kwargs: int) -> None:
        super().__init__(*args, batches=batches, **kwargs)
        self.global_batch = batch * batches

    def _steps(self) -> int:
        return -(-len(self.lengths) // self.global_batch)

    def _global_batches(self, rng: np.random.Generator) -> np.ndarray:
        units = rng.permutation(len(self.counts))
        pool = np.arange(len(units)) // (_POOL * self.global_batch // 2)  # of units, most of which are two rows
        # by length within a pool; those without a reverse last, lest they push the two rows of others apart
        lengths, alone = self.lengths[self.unit_rows[self.starts[units]]], self.counts[units] == 1
        units = units[np.lexsort((lengths, alone, pool))]
        order = np.resize(self._rows(units), (self._steps(), self.global_batch))  # np.resize repeats from the start
        return order[rng.permutation(len(order))]


class TokenBatchSampler(_GlobalBatches):
    """Global batches of about equally many tokens: of short pairs there are more in a batch.

    A global batch has rows of one of `static_lengths`, and of shorter ones those that made no whole global batch there.

    Args:
        tokens: the most that a batch has, with padding; but an edit and its reverse are always one batch's.
        max_length: tokens that no row has more of.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        edits: Sequence[int] | np.ndarray,
        *,
        tokens: int,
        max_length: int,
        batches: int,
        **kwargs: int,
    ) -> None:
        super().__init__(lengths, _at_most_two(np.asarray(edits, dtype=np.int64)), batches=batches, **kwargs)
        allowed = np.array(static_lengths(padded_length(max_length), positions=2**31))
        longest = np.maximum.reduceat(self.lengths[self.unit_rows], self.starts)
        self.padded = allowed[np.searchsorted(allowed, longest, side="right")]  # of each unit; longer, as in `collate`
        # ascending lengths, and the rows of a global batch at each
        self.sizes = {int(length): max(tokens // length // 2, 1) * 2 * batches for length in np.unique(self.padded)}

    def _steps(self) -> int:
        steps = left = 0
        for length, size in self.sizes.items():
            whole, left = divmod(left + int(self.counts[self.padded == length].sum()), size)
            steps += whole
        return steps + (left > 0)

    def _global_batches(self, rng: np.random.Generator) -> list[np.ndarray]:
        units = rng.permutation(len(self.counts))
        found: list[np.ndarray] = []
        left = units[:0]
        for length, size in self.sizes.items():
            here = np.concatenate([left, units[self.padded[units] == length]])
            here = here[np.argsort(self.counts[here] == 1, kind="stable")]  # as above: those without a reverse last
            rows = self._rows(here)
            whole = len(rows) // size
            found += list(rows[: whole * size].reshape(whole, size))
            left = here[np.cumsum(self.counts[here]) > whole * size]
        if len(left):
            found.append(np.resize(np.concatenate([self._rows(left), self._rows(units[:size])]), size))
        return [found[step] for step in rng.permutation(len(found))]


def _at_most_two(edits: np.ndarray) -> np.ndarray:
    """Other numbers of edits: where more than two rows have the same, each two that follow one another get one."""
    order = np.argsort(edits, kind="stable")
    ordered = edits[order]
    nth = np.empty_like(order)  # of the rows of its edit
    nth[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return edits * len(edits) + nth // 2
