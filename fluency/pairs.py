"""Rows become labelled pairs (before, after) with one edit each, groups of shared sentences, and splits. Pure."""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from fluency.corpora import SPLITS, Rejected, Row
from fluency.corruption import RULES, corrupt
from fluency.edits import Edit, extract
from fluency.errors import UserError
from fluency.params import AugmentParams, PairsParams, SplitParams

PAIR_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("group", pa.string()),
        ("before", pa.string()),
        ("after", pa.string()),
        ("label", pa.int64()),
        ("edit_start", pa.int64()),
        ("edit_end", pa.int64()),
        ("removed", pa.string()),
        ("inserted", pa.string()),
        ("edit_type", pa.string()),
        ("kind", pa.string()),
        ("part", pa.string()),
        ("corpus", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence before and after one edit. `before[edit_start:edit_end] == removed`; putting `inserted` there
    gives `after`. `label` is 1 where the edit keeps or improves fluency. `split` is None until it is cut."""

    id: str
    group: str
    before: str
    after: str
    label: int
    edit_start: int
    edit_end: int
    removed: str
    inserted: str
    edit_type: str
    kind: str
    part: str
    corpus: str
    split: str | None

    def as_dict(self) -> dict[str, Any]:
        """The pair's columns, without its split (a file holds one split)."""
        columns = asdict(self)
        del columns["split"]
        return columns


def build_pairs(rows: Sequence[Row], params: PairsParams) -> tuple[dict[str, list[Pair]], list[Rejected]]:
    """Turn canonical rows into pairs by split.

    Returns:
        The pairs of `train`, `validation` and `test` in the order of their rows, and the rows that gave none.

    Raises:
        UserError: a split is empty or has one label only, or a rate names an unknown kind of mistake.
    """
    unknown = [kind for kind in params.augment.rates if kind not in RULES]
    if unknown:
        raise UserError(f"pairs.augment.rates.{unknown[0]}: unknown kind; known: {', '.join(RULES)}")
    pairs: list[Pair] = []
    rejected: list[Rejected] = []
    seen: dict[str, int] = defaultdict(int)
    for row in rows:
        try:
            drafts = list(_drafts(row, params))
        except ValueError as error:
            text = row.before if row.after is None else f"{row.before} -> {row.after}"
            rejected.append(Rejected(str(error), row.file, row.line, text))
            continue
        pairs.extend(_identified(pair, seen) for pair in drafts)
    pairs = cut_splits(grouped(pairs), params.split, params.seed)
    limits = {
        "train": params.max_train_samples,
        "validation": params.max_eval_samples,
        "test": params.max_predict_samples,
    }
    splits = {
        split: limited([pair for pair in pairs if pair.split == split], limits[split], params.seed) for split in SPLITS
    }
    for split, members in splits.items():
        _check_split(split, members)
    return splits, rejected


def _check_split(split: str, pairs: Sequence[Pair]) -> None:
    labels = {pair.label for pair in pairs}
    if not labels:
        raise UserError(f"split {split!r} is empty; give it rows, or a larger share in pairs.split")
    if len(labels) == 1:
        raise UserError(
            f"split {split!r} has label {labels.pop()} only ({len(pairs)} pairs); both labels are needed, "
            "so check the source's labels or raise the limits pairs.max_*_samples"
        )


def _drafts(row: Row, params: PairsParams) -> Iterator[Pair]:
    """The pairs that one row gives. Raises ValueError with the reason where it can give none."""
    if row.relation == "sentence":
        yield from _mistakes(row, params.augment, params.seed)
        return
    edit = _edit_of(row, params.single_edit_only)
    if row.relation == "labelled":
        yield _pair(row, row.before, edit, row.label)
    else:
        back_label = 1 if row.relation == "rewrite" else 0
        yield _pair(row, row.before, edit, 1)
        yield _pair(row, row.after, edit.invert(), back_label)


def _mistakes(row: Row, augment: AugmentParams, seed: int) -> Iterator[Pair]:
    """Both directions of rule-made mistakes on a fluent sentence."""
    made = corrupt(row.before, count=augment.per_sentence, rates=augment.rates, seed=str(seed))
    if not made and augment.per_sentence:
        raise ValueError("a plain sentence in which no rule-made mistake finds a place")
    for kind, edit in made:
        ruled = replace(row, kind=kind, part="rule-made")
        yield _pair(ruled, row.before, edit, 0)
        yield _pair(ruled, edit.apply(row.before), edit.invert(), 1)


def _edit_of(row: Row, single_edit_only: bool) -> Edit:
    if row.before == row.after:
        raise ValueError("no edit: before and after are the same")
    if row.start is not None:
        return Edit(row.start, row.removed, row.inserted)
    edits = extract(row.before, row.after)
    if len(edits) > 1 and single_edit_only:
        raise ValueError(f"{len(edits)} edits; one is wanted (pairs.single_edit_only)")
    start, end = edits[0].start, edits[-1].end
    tail = len(row.before) - end
    return Edit(start, row.before[start:end], row.after[start : len(row.after) - tail])


def _pair(row: Row, before: str, edit: Edit, label: int) -> Pair:
    return Pair("", "", before, edit.apply(before), label, edit.start, edit.end, edit.removed, edit.inserted,
                edit.type, row.kind, row.part, row.corpus, row.split)  # fmt: skip


def _identified(pair: Pair, seen: dict[str, int]) -> Pair:
    """The pair with an id made of its content, so that it is the same in any run; repeats get a number."""
    digest = _digest(f"{pair.before}\0{pair.after}\0{pair.label}")
    seen[digest] += 1
    return replace(pair, id=digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def normalise(sentence: str) -> str:
    """A sentence without what doesn't make it another one: case, spacing and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", sentence).casefold().split())


def grouped(pairs: Iterable[Pair]) -> list[Pair]:
    """Name the group of each pair: connected components over shared (normalised) sentences.

    The name comes from the component's first sentence in sorted order, so the order of rows doesn't matter.
    """
    keys = [(pair, normalise(pair.before), normalise(pair.after)) for pair in pairs]
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for _, before, after in keys:
        one, other = sorted((root(before), root(after)))
        parent[other] = one
    return [replace(pair, group=_digest(root(before))) for pair, before, _ in keys]


def cut_splits(pairs: Sequence[Pair], shares: SplitParams, seed: int) -> list[Pair]:
    """Give a split to every pair that has none; a group is never cut.

    Where the source has splits, they are kept, each missing one is cut out of train, by its share, and pairs without
    a split count as train's.
    """
    if all(pair.split is None for pair in pairs):
        return _cut(pairs, {split: getattr(shares, split) for split in SPLITS}, seed)
    pairs = [replace(pair, split=pair.split or "train") for pair in pairs]
    given = {pair.split for pair in pairs}
    missing = [split for split in SPLITS if split not in given]
    if "train" in missing:
        raise UserError(f"data.source: it has {', '.join(sorted(given))} but no train split")
    rest = {"train": 1 - sum(getattr(shares, split) for split in missing)}
    cut = iter(_cut([p for p in pairs if p.split == "train"], rest | {s: getattr(shares, s) for s in missing}, seed))
    return [next(cut) if pair.split == "train" else pair for pair in pairs]


def _cut(pairs: Sequence[Pair], shares: dict[str, float], seed: int) -> list[Pair]:
    """Cut by group, each mixture of parts by itself, so that every part has its share in every split."""
    members: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        members[pair.group].append(pair)
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for group, its in members.items():
        strata[tuple(sorted({pair.part for pair in its}))].append(group)
    split_of_group: dict[str, str] = {}
    for groups in strata.values():
        groups.sort(key=lambda group: _digest(f"{seed}|{group}"))
        total = sum(len(members[group]) for group in groups)
        done, bounds = 0, _bounds(shares)
        for group in groups:
            split_of_group[group] = next(split for split, bound in bounds if done < bound * total)
            done += len(members[group])
    return [replace(pair, split=split_of_group[pair.group]) for pair in pairs]


def _bounds(shares: dict[str, float]) -> list[tuple[str, float]]:
    bounds, upto = [], 0.0
    for split, share in shares.items():
        upto += share
        bounds.append((split, upto))
    bounds[-1] = (bounds[-1][0], 1.0)
    return bounds


def limited(pairs: Sequence[Pair], limit: int | None, seed: int) -> list[Pair]:
    """At most `limit` pairs, drawn by seed and kept in order; all of them for None."""
    if limit is None or len(pairs) <= limit:
        return list(pairs)
    chosen = set(sorted((pair.id for pair in pairs), key=lambda id_: _digest(f"{seed}|{id_}"))[:limit])
    return [pair for pair in pairs if pair.id in chosen]
