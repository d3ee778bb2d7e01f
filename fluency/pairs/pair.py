"""A row becomes labelled pairs (before, after) with one edit each. Pure."""

import random
from dataclasses import dataclass

from fluency.corpus.rows import Row
from fluency.edits.edit import Edit, extract, spanning
from fluency.pairs.corruption import corrupt
from fluency.pairs.distortion import distort
from fluency.pairs.params import AugmentParams, PairsParams


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence before and after one edit. `before[edit_start:edit_end] == removed`; putting `inserted` there
    gives `after`. `label` is 1 where the edit keeps or improves fluency."""

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


def pairs_of(row: Row, params: PairsParams, other: str) -> list[Pair]:
    """The pairs that one row gives; none of a plain sentence for which no edit is drawn.

    A correction is fluent one way and not the other, a rewrite fluent both ways; a labelled row gives its one
    direction, and a plain sentence rule-made mistakes in both, and absurd edits in one. An edit that the source gives
    is taken as one.

    Args:
        other: a plain sentence that an absurd edit may put in this one's place.

    Raises:
        ValueError: with the reason why the row gives none.
    """
    if row.relation == "sentence":
        drawn, pairs = _mistakes(row, row.before, other, params.augment, params.seed)
        if drawn and not pairs:
            raise ValueError("a plain sentence; what pairs.augment drew finds no place in it")
        return pairs
    edit = _edit_of(row, params.single_edit_only)
    if row.relation == "labelled":
        return [_pair(row, row.before, edit, row.label)]
    back_label = 1 if row.relation == "rewrite" else 0
    pairs = [_pair(row, row.before, edit, 1), _pair(row, row.after, edit.invert(), back_label)]
    if params.augment.corrections and row.relation == "correction":
        pairs += _mistakes(row, row.after, other, params.augment, params.seed)[1]
    return pairs


def _mistakes(row: Row, fluent: str, other: str, augment: AugmentParams, seed: int) -> tuple[bool, list[Pair]]:
    """Whether any edit of the row's `fluent` sentence is drawn, and what comes of it: both directions of rule-made
    mistakes, and an absurd edit.

    Of 1.25 mistakes a sentence, every fourth gets two, the others one.
    """
    count = int(augment.per_sentence) + (random.Random(f"{seed}|count|{fluent}").random() < augment.per_sentence % 1)
    rng, absurd = random.Random(f"{seed}|distortion|{fluent}"), augment.absurd
    is_absurd = rng.random() < absurd.share
    pairs = []
    for kind, edit in corrupt(fluent, count=count, rates=augment.rates, seed=str(seed)):
        pairs.append(_pair(row, fluent, edit, 0, kind=kind, part="rule-made"))
        pairs.append(_pair(row, edit.apply(fluent), edit.invert(), 1, kind=kind, part="rule-made"))
    if is_absurd and (distorted := distort(fluent, other, rates=absurd.rates, rng=rng)):
        kind, edit = distorted
        pairs.append(_pair(row, fluent, edit, 0, kind=kind, part="absurd"))
    return count > 0 or is_absurd, pairs


def _edit_of(row: Row, single_edit_only: bool) -> Edit:
    if row.before == row.after:
        raise ValueError("no edit; before and after are the same")
    if row.start is not None:
        return Edit(row.start, row.removed, row.inserted)
    edits = extract(row.before, row.after)
    if single_edit_only and len(edits) > 1:
        raise ValueError("more than one edit; pairs.single_edit_only keeps rows with one")
    return edits[0] if len(edits) == 1 else spanning(row.before, row.after)


def _pair(row: Row, before: str, edit: Edit, label: int, *, kind: str | None = None, part: str | None = None) -> Pair:
    return Pair(before, edit.apply(before), label, edit.start, edit.end, edit.removed, edit.inserted,
                edit.type, kind or row.kind, part or row.part, row.corpus)  # fmt: skip
