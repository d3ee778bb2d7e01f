"""Drafts: the pairs of one row group of the raw rows, before anything is known of the other rows.

Row groups are drafted by several processes, each into files of its own: memory stays flat, and the result does not
depend on how many processes there are.
"""

import re
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

import joblib
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
from fluency.utils.files import parquet_sink

_MARKUP = re.compile("<del|</")

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
# (of a row: of its first pair's); `row` is the row's number among all raw rows.
DRAFTS = {
    "pairs": pa.schema([*PAIR_FIELDS, ("row", pa.int32()), ("digest", pa.uint64()), ("change", pa.uint64())]),
    "sentences": pa.schema([("row", pa.int32()), ("exact", pa.uint64()), ("normalised", pa.uint64())]),
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
    "rejected": REJECTED_SCHEMA,
}


def draft_all(raw: Path, folder: Path, params: PairsParams, *, processes: int | None = None) -> None:
    """Draft all row groups of the raw rows into `folder`/{pairs,sentences,rows,rejected}/.

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


def draft(raw: Path, group: int, start: int, folder: Path, params: PairsParams) -> None:
    """Draft one row group, whose first row is number `start`."""
    with pq.ParquetFile(raw) as file:
        rows = [Row(**record) for record in file.read_row_group(group, use_threads=False).to_pylist()]
    others = _others(rows)
    name = f"{group:06}.parquet"
    sinks = {kind: parquet_sink(folder / kind / name, schema) for kind, schema in DRAFTS.items()}
    with sinks["pairs"] as add_pair, sinks["sentences"] as add_sentence, sinks["rows"] as add_row, \
            sinks["rejected"] as add_rejected:  # fmt: skip
        for number, row in enumerate(rows, start):
            try:
                pairs = pairs_of(row, params, others[_home(row)][row.before])
            except ValueError as error:
                add_rejected(rejected_values(Rejected.of(row, str(error))))
                continue
            given = NOT_GIVEN if row.split is None else SPLITS.index(row.split)
            for pair in pairs:
                values = _pair_values(pair)
                change = hash64(f"{pair.before}\0{pair.after}")
                add_pair((*values, number, hash64("\0".join(map(str, (*values, given)))), change))
            for sentence in dict.fromkeys(text for pair in pairs for text in (pair.before, pair.after)):
                add_sentence((number, hash64(sentence), hash64(normalise(sentence))))
            add_row((number, row.corpus, pairs[0].part, given, len(pairs), *_facts(pairs[0])))


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


def _facts(pair: Pair) -> tuple[int, bool, bool, bool, int]:
    """What the audit counts, in a row's first pair: change, ambiguity (as characters, as words), markup, length."""
    ambiguous = bool(pair.removed) and pair.before.count(pair.removed) > 1
    return (
        hash64(f"{pair.before}\0{pair.after}"),
        ambiguous,
        ambiguous and len(occurrences(pair.removed, pair.before)) > 1,
        bool(_MARKUP.search(pair.before) or _MARKUP.search(pair.after)),
        len(pair.before),
    )
