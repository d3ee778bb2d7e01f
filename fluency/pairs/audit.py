"""What the data is: losses, balance, duplicates, ambiguity and leakage, as plain numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fluency.corpus.rows import SPLITS
from fluency.pairs.groups import occurrence, runs

_EXAMPLES = 3  # of each kind, for the page
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: keeps the hashes of different scopes apart


@dataclass(frozen=True)
class Facts:
    """What is known of each raw row that gave pairs; arrays of shape [rows].

    Attributes:
        row: its number among all raw rows, ascending.
        corpus, part: places in `corpora` and `parts`.
        given: the split that its source gives, a place in `SPLITS` or -1.
        pairs: how many pairs it gave.
        change: hash of its two sentences.
        ambiguous, ambiguous_words: whether its removed text stands elsewhere too, as characters or as whole words.
        markup: whether it holds leftover markup.
        characters: length of its sentence before the edit.
        corpora, parts: the names.
    """

    row: np.ndarray
    corpus: np.ndarray
    part: np.ndarray
    given: np.ndarray
    pairs: np.ndarray
    change: np.ndarray
    ambiguous: np.ndarray
    ambiguous_words: np.ndarray
    markup: np.ndarray
    characters: np.ndarray
    corpora: list[str]
    parts: list[str]

    @classmethod
    def of(cls, table: pa.Table) -> "Facts":
        """From the drafts' rows."""
        columns: dict[str, Any] = {}
        for name in table.column_names:
            column = table[name]
            if pa.types.is_string(column.type):
                encoded = column.dictionary_encode().combine_chunks()
                columns[name] = encoded.indices.to_numpy()
                columns["corpora" if name == "corpus" else "parts"] = encoded.dictionary.to_pylist()
            else:
                columns[name] = column.to_numpy()
        return cls(**columns)


@dataclass(frozen=True)
class Changes:
    """The changes (before, after) of all pairs; arrays of shape [pairs].

    Attributes:
        change, reverse: hashes of the two sentences, and of them the other way round.
        label: the pair's label.
        row: number of its raw row, ascending.
    """

    change: np.ndarray
    reverse: np.ndarray
    label: np.ndarray
    row: np.ndarray


@dataclass(frozen=True)
class Votes:
    """What the annotators of corrections say of the sentence; arrays of shape [rows], zeros where a row is none.

    Attributes:
        correcting: how many of them correct it.
        leaving: how many leave it as it is.
    """

    correcting: np.ndarray
    leaving: np.ndarray

    @classmethod
    def of(cls, facts: Facts, row: np.ndarray, sentence: np.ndarray, corrects: np.ndarray) -> "Votes":
        """From the drafts' votes: the raw row of each, what it is about, and whether it is a correction."""
        _, sentence = np.unique(sentence, return_inverse=True)
        its = np.isin(row, facts.row, assume_unique=True) & corrects
        places = np.searchsorted(facts.row, row[its])
        counts = np.zeros((2, len(facts.row)), dtype=np.int64)
        for count, votes in zip(counts, (corrects, ~corrects), strict=True):
            count[places] = np.bincount(sentence, weights=votes)[sentence[its]]
        return cls(*counts)


@dataclass(frozen=True)
class Repeats:
    """What rows of one scope (a corpus's split, say) say twice.

    Attributes:
        duplicate: whether a row has the sentences of an earlier one, whatever their labels. Of shape [rows].
        conflicts: how many changes have both labels, by scope.
        conflicting: numbers of the rows that they are in.
        outvoted: of those, the rows whose label has no majority among them.
    """

    duplicate: np.ndarray
    conflicts: dict[int, int]
    conflicting: np.ndarray
    outvoted: np.ndarray

    @classmethod
    def of(cls, facts: Facts, scope: np.ndarray, changes: Changes) -> "Repeats":
        """Args: scope: of each row, a number from 0. Of shape [rows]."""
        duplicate = occurrence(facts.change + scope.astype(np.uint64) * _SPREAD) > 0
        scope_of = scope[np.searchsorted(facts.row, changes.row)]
        keys = changes.change + scope_of.astype(np.uint64) * _SPREAD
        order, starts, sizes = runs(keys)
        labels = changes.label[order]
        fluent = np.add.reduceat(labels, starts)
        both = (fluent > 0) & (fluent < sizes)
        lost = np.where(labels == 1, np.repeat(2 * fluent <= sizes, sizes), np.repeat(2 * fluent >= sizes, sizes))
        conflicting = np.repeat(both, sizes)
        scopes, counts = np.unique(scope_of[order[starts[both]]], return_counts=True)
        return cls(
            duplicate,
            dict(zip(scopes.tolist(), counts.tolist(), strict=True)),
            changes.row[order[conflicting]],
            changes.row[order[conflicting & lost]],
        )


def corpus_figures(facts: Facts, changes: Changes, votes: Votes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The rows as their source gives them.

    Returns:
        The figures of each corpus and split (`all` where it has none), and numbers of rows to show on the page.
    """
    scope = facts.corpus.astype(np.int64) * (len(SPLITS) + 1) + facts.given + 1
    repeats = Repeats.of(facts, scope, changes)
    disputed = votes.leaving > 0
    figures: dict[str, Any] = {}
    for corpus in sorted(range(len(facts.corpora)), key=lambda code: facts.corpora[code]):
        for given in range(-1, len(SPLITS)):
            its = (facts.corpus == corpus) & (facts.given == given)
            if its.any():
                lengths = facts.characters[its]
                figures.setdefault(facts.corpora[corpus], {})["all" if given < 0 else SPLITS[given]] = {
                    "rows": int(its.sum()),
                    "duplicates": int(repeats.duplicate[its].sum()),
                    "label_conflicts": repeats.conflicts.get(int(scope[its][0]), 0),
                    "disputed": int(disputed[its].sum()),
                    "ambiguous": int(facts.ambiguous[its].sum()),
                    "ambiguous_words": int(facts.ambiguous_words[its].sum()),
                    "markup": int(facts.markup[its].sum()),
                    "characters_median": int(np.median(lengths)),
                    "characters_95": int(np.percentile(lengths, 95, method="higher")),
                    "characters_most": int(lengths.max()),
                }
    examples = {
        "duplicate": facts.row[repeats.duplicate][:_EXAMPLES],
        "label conflict": np.sort(repeats.conflicting[: 2 * _EXAMPLES]),
        "disputed": facts.row[disputed][:_EXAMPLES],
        "edited words that stand elsewhere too": facts.row[facts.ambiguous_words][:_EXAMPLES],
        "markup": facts.row[facts.markup][:_EXAMPLES],
    }
    return figures, examples


def split_repeats(facts: Facts, split: np.ndarray, changes: Changes) -> dict[str, dict[str, int]]:
    """`duplicates` and `label_conflicts` of each split, over all corpora.

    Args:
        split: of each raw row, a place in `SPLITS` or -1. Of shape [raw rows].
    """
    scope = split[facts.row].astype(np.int64) + 1
    repeats = Repeats.of(facts, scope, changes)
    return {
        name: {
            "duplicates": int(repeats.duplicate[scope == code].sum()),
            "label_conflicts": repeats.conflicts.get(code, 0),
        }
        for code, name in enumerate(SPLITS, 1)
    }


def reverse_shares(changes: Changes, split: np.ndarray) -> dict[str, float]:
    """Of each split the share of pairs whose reverse is in it too.

    Args:
        split: of each pair, a place in `SPLITS` or -1. Of shape [pairs].
    """
    shares = {}
    for code, name in enumerate(SPLITS):
        its = split == code
        reverse, known = pa.array(changes.reverse[its]), pa.array(changes.change[its])
        shares[name] = round(pc.mean(pc.is_in(reverse, known)).as_py(), 4)
    return shares


def leakage_figures(
    facts: Facts, split: np.ndarray, group: np.ndarray, seen_exact: np.ndarray, seen: np.ndarray, seen_near: np.ndarray
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What validation and test share with earlier splits.

    Args:
        split, group: of each raw row; -1 for rows in no split. Of shape [raw rows].
        seen_exact, seen, seen_near: the splits (one bit each) that each row's sentences are in, character for
            character, normalised, and as near-duplicates too. Of shape [raw rows].

    Returns:
        By split: `rows` that share a sentence character for character, `rows_normalised` that share one up to case,
        spacing and Unicode form, `rows_near` that share one or have a near-duplicate, `groups` in an earlier split too,
        and `corpora` of the normalised rows; and rows to show.
    """
    figures, examples = {}, {}
    corpus = np.full(len(split), -1)
    corpus[facts.row] = facts.corpus
    for code in (1, 2):
        its, earlier = split == code, np.uint8((1 << code) - 1)
        leaking = its & (seen & earlier > 0)
        inside = np.intersect1d(group[its], group[(split >= 0) & (split < code)])
        codes, counts = np.unique(corpus[leaking], return_counts=True)
        figures[SPLITS[code]] = {
            "rows": int((its & (seen_exact & earlier > 0)).sum()),
            "rows_normalised": int(leaking.sum()),
            "rows_near": int((its & (seen_near & earlier > 0)).sum()),
            "groups": len(inside),
            "corpora": {facts.corpora[code]: int(count) for code, count in zip(codes, counts, strict=True)},
        }
        near = its & (seen_near & earlier > 0) & ~leaking
        examples[f"near-duplicate of an earlier split, in {SPLITS[code]}"] = np.flatnonzero(near)[:_EXAMPLES]
        examples[f"leak into {SPLITS[code]}"] = np.flatnonzero(leaking)[:_EXAMPLES]
    return figures, examples
