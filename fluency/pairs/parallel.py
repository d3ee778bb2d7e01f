"""Drafts: the pairs of one row group of the raw rows, before anything is known of the other rows.

Row groups are drafted by several processes, each into files of its own: memory stays flat, and the result does not
depend on how many processes there are.
"""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from operator import attrgetter
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from joblib.externals.loky import get_reusable_executor
from tqdm import tqdm

from fluency.corpus.rows import REJECTED_SCHEMA, SPLITS, Rejected, Row, rejected_values
from fluency.edits.edit import occurrences
from fluency.edits.sentence import hash64, normalise
from fluency.pairs.pair import Pair, pairs_of
from fluency.pairs.params import PairsParams
from fluency.pairs.splits import NOT_GIVEN
from fluency.pairs.words import words
from fluency.utils.files import parquet_sink
from fluency.utils.processes import no_collection

_MARKUP = re.compile(r"<del|</|&(?:#\w+|\w\w+);")  # no entity has one letter, but `Q&A;` ends so
_ODD = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: tells a change from its reverse

PAIR_FIELDS = [
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
_pair_values = attrgetter(*(name for name, _ in PAIR_FIELDS))

# One file of each kind for a row group. `digest` is the hash of all that a pair says, `change` that of its sentences
# (of a row: of its first pair's), `reverse` that of its reverse's; `row` is the row's number among all raw rows. A vote
# is what an annotator says of a sentence; `words` are hashes of those of a row's fluent side, in the order of `rows`;
# `undrawn` are the plain sentences for which no edit is drawn.
DRAFTS = {
    "pairs": pa.schema(
        [*PAIR_FIELDS, ("row", pa.int32()), ("digest", pa.uint64()), ("change", pa.uint64()), ("reverse", pa.uint64())]
    ),
    "sentences": pa.schema([("row", pa.int32()), ("exact", pa.uint64()), ("normalised", pa.uint64())]),
    "votes": pa.schema([("row", pa.int32()), ("sentence", pa.uint64()), ("corrects", pa.bool_())]),
    "words": pa.schema([("words", pa.list_(pa.uint32()))]),
    "rows": pa.schema(
        [
            ("row", pa.int32()),
            ("corpus", pa.string()),
            ("part", pa.string()),
            ("given", pa.int8()),
            ("pairs", pa.int16()),
            ("change", pa.uint64()),
            ("ambiguous", pa.bool_()),
            ("ambiguous_words", pa.bool_()),
            ("markup", pa.bool_()),
            ("characters", pa.int32()),
        ]
    ),
    "undrawn": pa.schema([("row", pa.int32())]),
    "rejected": REJECTED_SCHEMA,
}


def draft_all(raw: Path, folder: Path, params: PairsParams, *, processes: int | None = None) -> None:
    """Draft all row groups of the raw rows into `folder`/KIND/, of each kind in `DRAFTS`.

    Args:
        processes: how many work at once; None for one a core.
    """
    for kind in DRAFTS:
        (folder / kind).mkdir(parents=True)
    with pq.ParquetFile(raw) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    starts = [sum(sizes[:group]) for group in range(len(sizes))]
    workers = min(processes or joblib.cpu_count(), len(sizes))
    jobs = (joblib.delayed(draft)(raw, group, start, folder, params) for group, start in enumerate(starts))
    done = joblib.Parallel(n_jobs=workers, return_as="generator")(jobs)
    for _ in tqdm(done, total=len(sizes), desc="pairs", unit="group", disable=None):
        pass
    if workers > 1:
        get_reusable_executor().shutdown(wait=True)  # idle workers would keep their memory


def drafted(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """The drafts of one kind, of all row groups."""
    return pa.concat_tables(pq.read_table(path, columns=columns) for path in sorted(folder.iterdir()))


def drafted_columns(folder: Path, *names: str) -> list[np.ndarray]:
    """Columns of the drafts of one kind."""
    return [drafted(folder, [name])[name].to_numpy() for name in names]


@no_collection()
def draft(raw: Path, group: int, start: int, folder: Path, params: PairsParams) -> None:
    """Draft one row group, whose first row is number `start`."""
    with pq.ParquetFile(raw) as file:
        rows = [Row(**record) for record in file.read_row_group(group, use_threads=False).to_pylist()]
    with_absurd = params.augment.corrections or any(row.relation == "sentence" for row in rows)
    others = _others(rows) if with_absurd else {}
    name = f"{group:06}.parquet"
    hashes = _Hashes()
    with ExitStack() as stack:
        add_pair, add_sentence, add_vote, add_words, add_row, add_undrawn, add_rejected = (
            stack.enter_context(parquet_sink(folder / kind / name, schema)) for kind, schema in DRAFTS.items()
        )
        for number, row in enumerate(rows, start):
            if row.relation in ("correction", "sentence"):
                corrects = row.after is not None and row.after != row.before
                add_vote((number, _change(hashes[row.corpus], hashes[row.before]), corrects))
            try:
                pairs = pairs_of(row, params, others[_home(row)][row.before] if with_absurd else "")
            except ValueError as error:
                add_rejected(rejected_values(Rejected.of(row, str(error))))
                continue
            if not pairs:
                add_undrawn((number,))
                continue
            given = NOT_GIVEN if row.split is None else SPLITS.index(row.split)
            for sentence in dict.fromkeys(text for pair in pairs for text in (pair.before, pair.after)):
                add_sentence((number, hashes[sentence], hash64(normalise(sentence))))
            for pair in pairs:
                values, before, after = _pair_values(pair), hashes[pair.before], hashes[pair.after]
                digest = hash64("\0".join(map(str, (*values, given))))
                add_pair((*values, number, digest, _change(before, after), _change(after, before)))
            first = pairs[0]
            add_words(([hashes[word] >> 32 for word in words(first.after if first.label else first.before)],))
            change = _change(hashes[first.before], hashes[first.after])
            add_row((number, row.corpus, first.part, given, len(pairs), change, *_facts(first)))


class _Hashes(dict[str, int]):
    """The hashes of texts, each worked out once."""

    def __missing__(self, text: str) -> int:
        return self.setdefault(text, hash64(text))


def _change(before: int, after: int) -> int:
    """The hash of a change, from those of its sentences."""
    return (before * _ODD + after) % 2**64


def _home(row: Row) -> tuple[str, str | None]:
    """Where a row's sentence may be put in another's place: elsewhere it would leak between splits that are given."""
    return row.corpus, row.split


def _others(rows: Sequence[Row]) -> dict[tuple[str, str | None], dict[str, str]]:
    """For each sentence one other of its corpus and split, whatever the order of rows.

    Of several others each, all sentences would become one group.
    """
    homes: dict[tuple[str, str | None], set[str]] = {}
    for row in rows:
        homes.setdefault(_home(row), set()).add(row.before)
    ordered = {home: sorted(sentences, key=hash64) for home, sentences in homes.items()}
    return {home: dict(zip(its, [*its[1:], its[0]], strict=True)) for home, its in ordered.items()}


def _facts(pair: Pair) -> tuple[bool, bool, bool, int]:
    """What the audit counts, in a row's first pair: ambiguity (as characters, as words), markup, length."""
    ambiguous = bool(pair.removed) and pair.before.count(pair.removed) > 1
    return (
        ambiguous,
        ambiguous and len(occurrences(pair.removed, pair.before)) > 1,
        bool(_MARKUP.search(pair.before) or _MARKUP.search(pair.after)),
        len(pair.before),
    )
