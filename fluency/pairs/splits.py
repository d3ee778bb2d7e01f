"""The cut into train, validation and test: splits that a source gives are kept, missing ones are cut by group. Pure."""

from collections.abc import Collection, Sequence

import numpy as np

from fluency.corpus.rows import SPLITS
from fluency.edits.sentence import hash64
from fluency.pairs.params import SplitParams
from fluency.utils.errors import UserError

NOT_GIVEN = -1


def cut_splits(
    groups: np.ndarray,
    given: np.ndarray,
    corpora: np.ndarray,
    parts: np.ndarray,
    part_names: Sequence[str],
    sizes: np.ndarray,
    lacks: np.ndarray,
    shares: SplitParams,
    seed: int,
) -> np.ndarray:
    """The split of each row, as its place in `SPLITS`.

    Given splits are kept. What a corpus lacks is cut, by its share, out of its rows that are for training or in no
    split. Groups are never cut, and a group that a given split has a hold of stays out of the cut: its
    other rows go to train, where `pairs.leakage` deals with them. Each mixture of parts is cut by itself, so that
    every part has its share in every split.

    Args:
        groups: name of each row's group, of shape [rows], uint64.
        given: the split that the source gives, or `NOT_GIVEN`, of shape [rows].
        corpora, parts: number of each row's corpus and part, of shape [rows].
        part_names: the names of the parts, in the order of their numbers.
        sizes: how many pairs each row gives, of shape [rows]; shares are shares of pairs.
        lacks: as `lacking` finds it, of shape [corpora].

    Raises:
        UserError: the sources give rows to evaluate on, and none to train on.
    """
    _check_train(given)
    pool = (given == NOT_GIVEN) | ((given == 0) & (lacks[corpora] != 0))
    names, group = np.unique(groups, return_inverse=True)
    held = np.zeros(len(names), dtype=bool)
    held[group[~pool]] = True
    lacking = np.full(len(names), 0b110, dtype=np.uint8)  # a group of several corpora is cut into what all of them lack
    np.bitwise_and.at(lacking, group[pool], lacks[corpora[pool]])
    lacking[held] = 0
    mixture = np.zeros(len(names), dtype=np.uint64)
    present = np.unique(group * len(part_names) + parts)
    hashes = np.array([hash64(name) for name in part_names], dtype=np.uint64)
    np.add.at(mixture, present // len(part_names), hashes[present % len(part_names)])
    size = np.bincount(group, weights=sizes, minlength=len(names))
    split_of_group = _cut(names, size, mixture, lacking, shares, seed)
    return np.where(pool, split_of_group[group], given).astype(np.int8)


def _check_train(given: np.ndarray) -> None:
    found = [name for split, name in enumerate(SPLITS) if (given == split).any()]
    if found and "train" not in found and not (given == NOT_GIVEN).any():
        raise UserError(
            f"data.source: it has {' and '.join(found)} rows, but none to train on; add a source with a train split, "
            "or have these rows cut: {path: ..., split: cut}"
        )


def lacking(given: np.ndarray, corpora: np.ndarray, cut: Collection[int]) -> tuple[np.ndarray, dict[int, list[int]]]:
    """The splits that are cut out of each corpus: those it does not have.

    Where a corpus brings a test split, no other is cut into its held-out splits, which would be another benchmark. One
    that is all train stays so where any other has held-out rows, also cut ones.

    Args:
        given, corpora: as for `cut_splits`.
        cut: corpora that are cut whatever the others bring.

    Returns:
        The later splits, one bit each, of shape [corpora]; and, by corpus, those that a test split keeps it out of.
    """
    have = [set(np.unique(given[corpora == corpus]).tolist()) for corpus in range(corpora.max(initial=-1) + 1)]
    brought = set().union(*have) & {1, 2}
    bench = brought if 2 in brought else set()
    elsewhere = {split for its in have if its != {0} for split in ((1, 2) if its & {NOT_GIVEN, 0} else its)}
    missing = [{1, 2} - its - (elsewhere if its == {0} else set()) for its in have]
    lacks = [its if corpus in cut else its - bench for corpus, its in enumerate(missing)]
    spared = {
        corpus: sorted(missing[corpus] - lacks[corpus])
        for corpus, its in enumerate(have)
        if its & {NOT_GIVEN, 0} and missing[corpus] - lacks[corpus]
    }
    return np.array([sum(1 << split for split in its) for its in lacks], dtype=np.uint8), spared


def _cut(
    names: np.ndarray,
    sizes: np.ndarray,
    mixtures: np.ndarray,
    lacking: np.ndarray,
    shares: SplitParams,
    seed: int,
) -> np.ndarray:
    """The split of each group; in each stratum groups are drawn in an order that the seed and their names give."""
    drawn = np.fromiter((hash64(f"{seed}|{name}") for name in names), dtype=np.uint64, count=len(names))
    order = np.lexsort((drawn, mixtures, lacking))
    changes = (np.diff(mixtures[order]) != 0) | (np.diff(lacking[order]) != 0)
    split = np.zeros(len(names), dtype=np.int8)
    for stratum in np.split(order, np.flatnonzero(changes) + 1):
        if len(stratum) and lacking[stratum[0]]:
            # strata too small for all splits start anywhere, so that they have their shares together
            offset = hash64(f"{seed}|{mixtures[stratum[0]]}|{lacking[stratum[0]]}") / 2**64
            done = ((np.cumsum(sizes[stratum]) - sizes[stratum]) / sizes[stratum].sum() + offset) % 1
            cut = [
                getattr(shares, name) if lacking[stratum[0]] >> code & 1 else 0.0 for code, name in enumerate(SPLITS)
            ]
            cut[0] = 1 - cut[1] - cut[2]
            split[stratum] = np.searchsorted(np.cumsum(cut[:2]), done, side="right")
    return split
