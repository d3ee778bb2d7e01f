"""Where the raw rows belong: their groups, their splits, and what of them is not used. Worked out on hashes alone."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fluency.corpus.rows import SPLITS
from fluency.pairs.audit import Changes, Facts, Votes, leakage_figures
from fluency.pairs.groups import groups, seen_in
from fluency.pairs.near import near_duplicates
from fluency.pairs.parallel import drafted, drafted_columns
from fluency.pairs.params import PairsParams
from fluency.pairs.selection import unused
from fluency.pairs.splits import cut_splits, lacking
from fluency.utils.errors import UserError

NONE = -1  # the split of a row that is in none
_LEAKS = "leakage; a later split has its sentence, or nearly the same (pairs.leakage is drop_train)"
_SPARED = (
    "{} is not cut into {}, which other sources bring: it would be another benchmark (split: cut of the source cuts it)"
)


@dataclass(frozen=True)
class Placement:
    """Where the raw rows belong.

    Attributes:
        split: a place in `SPLITS`, or -1 for rows that are in none. Of shape [raw rows].
        group: the name of each row's group. Of shape [raw rows].
        dropped: ascending numbers of the rows that gave pairs and are not used, by reason.
        groups, leakage: the audit's figures.
        leaking: rows to show.
        notes: what was decided that no param says, a line each.
    """

    split: np.ndarray
    group: np.ndarray
    dropped: dict[str, np.ndarray]
    groups: dict[str, Any]
    leakage: dict[str, Any]
    leaking: dict[str, np.ndarray]
    notes: list[str]


def place(
    drafts: Path,
    facts: Facts,
    changes: Changes,
    votes: Votes,
    read: int,
    params: PairsParams,
    cut: Collection[str] = (),
) -> Placement:
    """Group the rows, cut the splits, and take out what is not used.

    Args:
        drafts: folder that `draft_all` filled.
        read: how many raw rows there are.
        cut: corpora that are cut whatever splits the others bring.

    Raises:
        UserError: splits leak and `pairs.leakage` is `fail`, or there is nothing to train on.
    """
    rows, exact, normalised = drafted_columns(drafts / "sentences", "row", "exact", "normalised")
    near = _near(drafts, facts, read, params)
    group = groups(normalised, rows, read, near)
    split = np.full(read, NONE, dtype=np.int8)
    to_cut = [code for code, name in enumerate(facts.corpora) if name in cut]
    lacks, spared = lacking(facts.given, facts.corpus, to_cut)
    split[facts.row] = cut_splits(
        group[facts.row], facts.given, facts.corpus, facts.part, facts.parts, facts.pairs, lacks,
        params.split, params.seed,
    )  # fmt: skip
    dropped = unused(facts, split, changes, votes, params)
    for its in dropped.values():
        split[its] = NONE
    if params.leakage != "report":
        dropped[_LEAKS] = _leaking(normalised, rows, near, split)
        if len(dropped[_LEAKS]) and params.leakage == "fail":
            raise UserError(
                f"pairs.leakage: {len(dropped[_LEAKS])} rows share a sentence with a later split, or have nearly the "
                "same; drop_train removes them, report keeps them"
            )
    if any(map(len, dropped.values())):  # what was dropped no longer joins others
        kept = split[rows] != NONE
        rows, exact, normalised = rows[kept], exact[kept], normalised[kept]
        near[split == NONE] = _alone(read)[split == NONE]
        group = groups(normalised, rows, read, near)
    seen = [seen_in(exact, rows, _flags(split)), seen_in(normalised, rows, _flags(split))]
    seen.append(seen[1] | seen_in(near, np.arange(read), _flags(split)))
    used = facts.row[split[facts.row] != NONE]
    grouped = _group_figures(groups(normalised, rows, read)[used], group[used])
    notes = sorted(
        _SPARED.format(facts.corpora[corpus], " and ".join(SPLITS[split] for split in its))
        for corpus, its in spared.items()
    )
    return Placement(split, group, dropped, grouped, *leakage_figures(facts, split, group, *seen), notes)


def _alone(read: int) -> np.ndarray:
    """For each row a number that no near-duplicates have in common."""
    return -1 - np.arange(read)


def _near(drafts: Path, facts: Facts, read: int, params: PairsParams) -> np.ndarray:
    """For each raw row a number that near-duplicates have in common."""
    near = _alone(read)
    if params.near_duplicates is not None:
        lists = drafted(drafts / "words")["words"].combine_chunks()
        ends = lists.offsets.to_numpy()[1:].astype(np.int64)
        near[facts.row] = near_duplicates(lists.values.to_numpy(), ends, params.near_duplicates)
    return near


def _flags(split: np.ndarray) -> np.ndarray:
    """The split of each row as one bit, none where it is in none."""
    return np.where(split == NONE, 0, 1 << np.maximum(split, 0)).astype(np.uint8)


def _leaking(normalised: np.ndarray, rows: np.ndarray, near: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Take rows out of train and validation that share a sentence with a later split; returns their numbers."""
    found = []
    for code in (1, 0):  # validation first: train need not give way to what is gone
        seen = seen_in(normalised, rows, _flags(split)) | seen_in(near, np.arange(len(near)), _flags(split))
        found.append(np.flatnonzero((split == code) & (seen >> np.uint8(code + 1) > 0)))
        split[found[-1]] = NONE
    return np.sort(np.concatenate(found))


def _group_figures(shared: np.ndarray, group: np.ndarray) -> dict[str, Any]:
    """How many groups there are, and what near-duplicates have to do with it.

    Args:
        shared: the groups by shared sentences alone, of shape [rows].
        group: the groups, of shape [rows].
    """
    sizes = [
        counts[of]
        for _, of, counts in (np.unique(names, return_inverse=True, return_counts=True) for names in (shared, group))
    ]
    grown = int((sizes[0] != sizes[1]).sum())
    return {
        "groups": len(np.unique(group)),
        "largest_rows": int(sizes[1].max(initial=0)),
        "near_duplicate_rows": grown,
        "near_duplicate_share": round(grown / max(len(group), 1), 4),
    }
