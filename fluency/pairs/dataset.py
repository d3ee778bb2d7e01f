"""The data set of pairs: raw rows become train, validation and test in memory that hardly grows with their number.

Texts are streamed from file to file; what has to be known of all rows at once (groups, splits, leakage, duplicates) is
worked out on 64-bit hashes of sentences.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fluency.corpus.rows import REJECTED_SCHEMA, SPLITS, Rejected, category, rejected_values, rows_at
from fluency.edits.sentence import hash64
from fluency.pairs.audit import Changes, Facts, corpus_figures, leakage_figures, split_repeats
from fluency.pairs.audit_page import audit_page
from fluency.pairs.corruption import RULES
from fluency.pairs.distortion import DISTORTIONS
from fluency.pairs.groups import groups, occurrence, seen_in
from fluency.pairs.parallel import PAIR_FIELDS, draft_all
from fluency.pairs.params import PairsParams
from fluency.pairs.splits import cut_splits
from fluency.utils.errors import UserError
from fluency.utils.files import parquet_sink, write_text

PAIR_SCHEMA = pa.schema([("id", pa.string()), ("group", pa.string()), *PAIR_FIELDS])
_NONE = -1  # the split of a row that is in none
_LEAKS = "leakage; shares a sentence with a later split (pairs.leakage is drop_train)"


def build_dataset(raw: Path, folder: Path, params: PairsParams, *, processes: int | None = None) -> dict[str, Any]:
    """Turn raw rows into pairs by split.

    Args:
        raw: folder of rows.parquet and rejected.parquet.
        folder: gets train, validation, test and rejected.parquet, and AUDIT.md.
        processes: how many draft pairs at once; None for one a core. The result doesn't depend on it.

    Returns:
        The audit: the content of metrics/data.json.

    Raises:
        UserError: a split is empty or has one label only, a rate names an unknown kind of mistake, or splits leak and
            `pairs.leakage` is `fail`.
    """
    augment = params.augment
    for key, rates, known in (("", augment.rates, RULES), ("absurd.", augment.absurd.rates, DISTORTIONS)):
        if unknown := [kind for kind in rates if kind not in known]:
            raise UserError(f"pairs.augment.{key}rates.{unknown[0]}: unknown kind; known: {', '.join(known)}")
    drafts = folder / ".drafts"
    draft_all(raw / "rows.parquet", drafts, params, processes=processes)
    read = pq.read_metadata(raw / "rows.parquet").num_rows
    facts = Facts.of(_table(drafts / "rows"))
    placed = _place(drafts / "sentences", facts, read, params)
    digest, rows = _columns(drafts / "pairs", "digest", "row")
    number = occurrence(digest)
    drawn = _drawn(digest, number, placed.split[rows], params)
    row_drawn = np.zeros(read, dtype=bool)
    row_drawn[rows[drawn]] = True
    counts = _write_splits(drafts / "pairs", folder, placed, drawn, number)
    del digest, number, drawn, rows
    reasons = _write_rejected(raw, drafts / "rejected", folder, placed.dropped)
    changes = Changes(*_columns(drafts / "pairs", "change", "label", "row"))
    corpora, examples = corpus_figures(facts, changes)
    repeats = split_repeats(facts, placed.split, changes)
    shutil.rmtree(drafts)

    used, kept = int(row_drawn.sum()), int((placed.split != _NONE).sum())
    report = {
        "rows": {
            "read": read + pq.read_metadata(raw / "rejected.parquet").num_rows,
            "used": used,
            "not_drawn": kept - used,  # pairs.max_*_samples
            "rejected": reasons.total(),
        },
        "rejected": dict(sorted(reasons.items())),
        "corpora": corpora,
        "splits": {
            name: _split_figures(counts[name], placed.group[row_drawn & (placed.split == code)]) | repeats[name]
            for code, name in enumerate(SPLITS)
        },
        "leakage": placed.leakage,
    }
    if report["rows"]["read"] != sum(report["rows"][name] for name in ("used", "not_drawn", "rejected")):
        raise RuntimeError(f"rows were lost between reading and writing, which is a bug: {report['rows']}")
    rows_to_show = {title: list(rows_at(raw, its)) for title, its in (examples | placed.leaking).items()}
    write_text(folder / "AUDIT.md", audit_page(report, rows_to_show, _rejects(folder)))
    return report


@dataclass(frozen=True)
class _Placed:
    """Where the raw rows belong.

    Attributes:
        split: a place in `SPLITS`, or `_NONE` for rows that are in none. Of shape [raw rows].
        group: the name of each row's group. Of shape [raw rows].
        dropped: numbers of the rows that `pairs.leakage` took out.
        leakage, leaking: the audit's figures and rows to show.
    """

    split: np.ndarray
    group: np.ndarray
    dropped: np.ndarray
    leakage: dict[str, Any]
    leaking: dict[str, np.ndarray]


def _place(sentences: Path, facts: Facts, read: int, params: PairsParams) -> _Placed:
    """Group the rows, cut the splits, and deal with what leaks."""
    rows, exact, normalised = _columns(sentences, "row", "exact", "normalised")
    group = groups(normalised, rows, read)
    split = np.full(read, _NONE, dtype=np.int8)
    split[facts.row] = cut_splits(
        group[facts.row], facts.given, facts.corpus, facts.part, facts.parts, facts.pairs, params.split, params.seed
    )
    dropped = np.array([], dtype=np.int64)
    if params.leakage != "report":
        for code in (1, 0):  # validation first: train need not give way to what is gone
            later = seen_in(normalised, rows, _flags(split)) >> np.uint8(code + 1) > 0
            dropped = np.r_[dropped, np.flatnonzero((split == code) & later)]
            split[(split == code) & later] = _NONE
        if len(dropped) and params.leakage == "fail":
            raise UserError(
                f"pairs.leakage: {len(dropped)} rows share a sentence with a later split; drop_train removes them, "
                "report keeps them"
            )
        kept = split[rows] != _NONE
        rows, exact, normalised = rows[kept], exact[kept], normalised[kept]
        group = groups(normalised, rows, read)  # what was dropped no longer joins others
    flags = _flags(split)
    seen = seen_in(exact, rows, flags), seen_in(normalised, rows, flags)
    return _Placed(split, group, np.sort(dropped), *leakage_figures(facts, split, group, *seen))


def _flags(split: np.ndarray) -> np.ndarray:
    return np.where(split == _NONE, 0, 1 << np.maximum(split, 0)).astype(np.uint8)


def _table(folder: Path, columns: list[str] | None = None) -> pa.Table:
    return pa.concat_tables(pq.read_table(path, columns=columns) for path in sorted(folder.iterdir()))


def _columns(folder: Path, *names: str) -> list[np.ndarray]:
    return [_table(folder, [name])[name].to_numpy() for name in names]


def _drawn(digest: np.ndarray, number: np.ndarray, split: np.ndarray, params: PairsParams) -> np.ndarray:
    """Which pairs are in their split: all of them, or as many as its limit says, drawn by seed."""
    drawn = split != _NONE
    limits = (params.max_train_samples, params.max_eval_samples, params.max_predict_samples)
    for code, limit in enumerate(limits):
        members = np.flatnonzero(split == code)
        if limit is not None and len(members) > limit:
            ids = zip(digest[members], number[members], strict=True)
            rank = np.fromiter((hash64(f"{params.seed}|{one}|{n}") for one, n in ids), np.uint64, len(members))
            drawn[members[np.argsort(rank, kind="stable")[limit:]]] = False
    return drawn


def _write_splits(
    pairs: Path, folder: Path, placed: _Placed, drawn: np.ndarray, number: np.ndarray
) -> dict[str, Counter]:
    """Stream the pairs into their splits; returns how many there are of each part and label."""
    counts: dict[str, Counter] = {name: Counter() for name in SPLITS}
    done = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(pq.ParquetWriter(folder / f"{name}.parquet", PAIR_SCHEMA)) for name in SPLITS]
        for batch in _batches(pairs):
            rows, upto = batch["row"].to_numpy(), done + len(batch)
            ids = [
                f"{digest:016x}" if n == 0 else f"{digest:016x}-{n + 1}"
                for digest, n in zip(batch["digest"].to_pylist(), number[done:upto], strict=True)
            ]
            names = [f"{name:016x}" for name in placed.group[rows]]
            columns = [pa.array(ids), pa.array(names), *(batch[name] for name, _ in PAIR_FIELDS)]
            table = pa.Table.from_arrays(columns, schema=PAIR_SCHEMA)
            target = np.where(drawn[done:upto], placed.split[rows], _NONE)
            for code, name in enumerate(SPLITS):
                if (target == code).any():
                    chosen = table.filter(pa.array(target == code))
                    writers[code].write_table(chosen)
                    counts[name].update(zip(chosen["part"].to_pylist(), chosen["label"].to_pylist(), strict=True))
            done = upto
    _check(counts)
    return counts


def _batches(folder: Path) -> Iterator[pa.RecordBatch]:
    for path in sorted(folder.iterdir()):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=10_000, use_threads=False)


def _check(counts: Mapping[str, Counter]) -> None:
    for split, its in counts.items():
        if not its:
            raise UserError(f"split {split!r} is empty; give it rows, or a larger share in pairs.split")
    for split, its in counts.items():
        labels = {label for _, label in its}
        if len(labels) == 1:
            raise UserError(
                f"split {split!r} has label {labels.pop()} only ({its.total()} pairs); both labels are needed, "
                "so check the source's labels or raise the limits pairs.max_*_samples"
            )


def _split_figures(counts: Counter, group: np.ndarray) -> dict[str, Any]:
    parts: Counter = Counter()
    for (part, _), count in counts.items():
        parts[part] += count
    positives = sum(count for (_, label), count in counts.items() if label == 1)
    return {
        "pairs": counts.total(),
        "positives": positives,
        "share_positive": round(positives / counts.total(), 4),
        "groups": len(np.unique(group)),
        "parts": dict(sorted(parts.items())),
    }


def _write_rejected(raw: Path, drafted: Path, folder: Path, dropped: np.ndarray) -> Counter:
    """All rejected rows, whole, into one file: from reading, from pairing, and for leakage; returns their reasons."""
    reasons: Counter = Counter()
    with parquet_sink(folder / "rejected.parquet", REJECTED_SCHEMA) as add:
        for path in (raw / "rejected.parquet", *sorted(drafted.iterdir())):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=1000, use_threads=False):
                    for record in batch.to_pylist():
                        add(tuple(record.values()))
                        reasons[category(record["reason"])] += 1
        for row in rows_at(raw, dropped):
            add(rejected_values(Rejected.of(row, _LEAKS)))
            reasons[category(_LEAKS)] += 1
    return reasons


def _rejects(folder: Path, each: int = 3) -> dict[str, list[dict[str, Any]]]:
    """The first few rejected rows of each reason."""
    found: dict[str, list[dict[str, Any]]] = {}
    with pq.ParquetFile(folder / "rejected.parquet") as file:
        for batch in file.iter_batches(batch_size=1000, use_threads=False):
            for record in batch.to_pylist():
                examples = found.setdefault(category(record["reason"]), [])
                if len(examples) < each:
                    examples.append(record)
    return found
