"""Pairs as a model reads them, in a folder of memory-mapped arrays: any number of processes share what is in memory.

A column whose items differ in length (token ids) lies flat in NAME.npy, with the ends of the items in NAME.ends.npy.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fluency.utils.errors import UserError

Item = Mapping[str, Any]  # what a model reads of one pair, by the names of its inputs


class EncodedPairs:
    """The pairs of one split; indexed, it gives a pair's columns.

    Attributes:
        labels: of shape [pairs].
        edits: for each pair a number that its reverse has too, and no other pair. Of shape [pairs].
        columns: what the model reads, by name.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "labels.npy").is_file():
            raise UserError(f"{folder}: no encoded pairs; `dvc repro encode_pairs` makes them")
        arrays = {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}
        self.labels, self.edits = arrays.pop("labels"), arrays.pop("edits")
        self._ends = {name.removesuffix(".ends"): arrays.pop(name) for name in list(arrays) if name.endswith(".ends")}
        self.columns: dict[str, np.ndarray] = arrays

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Item:
        return {name: self._of(name, row) for name in self.columns} | {"labels": int(self.labels[row])}

    def _of(self, name: str, row: int) -> np.ndarray:
        if name not in self._ends:
            return self.columns[name][row]
        start = self._ends[name][row - 1] if row else 0
        return self.columns[name][start : self._ends[name][row]]

    def lengths(self) -> np.ndarray:
        """Tokens of each pair, of shape [pairs]; 1 for all where a pair is no tokens."""
        ends = self._ends.get("input_ids")
        return np.ones(len(self), dtype=np.int64) if ends is None else np.diff(ends, prepend=0)


def write_encoded(
    folder: Path, items: Iterable[Sequence[Item]], labels: Sequence[int], edits: Sequence[tuple[str, str]]
) -> None:
    """Write a split into the new `folder`.

    Args:
        items: what the model reads of each pair, in chunks: arrays of one shape, or lists of token ids.
        edits: the sentences of each pair.
    """
    folder.mkdir(parents=True)
    arrays: dict[str, np.ndarray] = {}  # of one shape: filled on the disk, as they may be larger than memory
    tokens: dict[str, list[np.ndarray]] = {}
    lengths: dict[str, list[int]] = {}
    start = 0
    for chunk in items:
        for name, first in chunk[0].items():
            values = [item[name] for item in chunk]
            if isinstance(first, list):
                lengths.setdefault(name, []).extend(map(len, values))
                tokens.setdefault(name, []).append(np.concatenate(values).astype(np.int32))
                continue
            if name not in arrays:
                shape = len(labels), *first.shape
                arrays[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", first.dtype, shape)
            arrays[name][start : start + len(chunk)] = values
        start += len(chunk)
    for array in arrays.values():
        array.flush()
    for name, parts in tokens.items():
        np.save(folder / f"{name}.npy", np.concatenate(parts))
        np.save(folder / f"{name}.ends.npy", np.cumsum(lengths[name]))
    np.save(folder / "labels.npy", np.array(labels, dtype=np.int8))
    numbers: dict[frozenset[str], int] = {}
    np.save(folder / "edits.npy", np.array([numbers.setdefault(frozenset(edit), len(numbers)) for edit in edits]))
