"""The data set of pairs: raw rows become train, validation and test in memory that hardly grows with their number.

Texts are streamed from file to file; what has to be known of all rows at once (groups, splits, leakage, duplicates) is
worked out on 64-bit hashes of sentences.
"""

import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fluency.corpus.rows import REJECTED_SCHEMA, SPLITS, Rejected, category, rejected_values, rows_at
from fluency.pairs.audit import Changes, Facts, Votes, corpus_figures, reverse_shares, split_repeats
from fluency.pairs.audit_page import audit_page
from fluency.pairs.corruption import RULES
from fluency.pairs.distortion import DISTORTIONS
from fluency.pairs.groups import occurrence
from fluency.pairs.parallel import PAIR_FIELDS, draft_all, drafted, drafted_columns
from fluency.pairs.params import PairsParams
from fluency.pairs.placement import NONE, place
from fluency.pairs.selection import drawn
from fluency.utils.errors import UserError
from fluency.utils.files import parquet_sink, write_text

_EXAMPLES = 3  # rejected rows of each reason, for the page
PAIR_SCHEMA = pa.schema([("id", pa.string()), ("group", pa.string()), *PAIR_FIELDS])


def build_dataset(
    raw: Path, folder: Path, params: PairsParams, *, cut: Collection[str] = (), processes: int | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Turn raw rows into pairs by split.

    Args:
        raw: folder of rows.parquet and rejected.parquet.
        folder: gets train, validation, test and rejected.parquet, and AUDIT.md.
        cut: corpora that are cut whatever splits the others bring (`split: cut` of a source).
        processes: how many draft pairs at once; None for one a core. The result doesn't depend on it.

    Returns:
        The audit: the content of metrics/data.json; and what was decided that no param says, a line each.

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
    facts = Facts.of(drafted(drafts / "rows"))
    changes = Changes(*drafted_columns(drafts / "pairs", "change", "reverse", "label", "row"))
    votes = Votes.of(facts, *drafted_columns(drafts / "votes", "row", "sentence", "corrects"))
    placed = place(drafts, facts, changes, votes, read, params, cut)
    number = occurrence(*drafted_columns(drafts / "pairs", "digest"))
    split = placed.split[changes.row]
    split[~drawn(changes, number, split, params)] = NONE
    counts = _write_splits(drafts / "pairs", folder, placed.group, split, number)
    reasons, rejected = _write_rejected(raw, drafts / "rejected", folder, placed.dropped)
    corpora, examples = corpus_figures(facts, changes, votes)
    repeats, reversed_ = split_repeats(facts, placed.split, changes), reverse_shares(changes, split)
    row_drawn = np.zeros(read, dtype=bool)
    row_drawn[changes.row[split != NONE]] = True
    undrawn = len(drafted(drafts / "undrawn"))
    shutil.rmtree(drafts)

    used, kept = int(row_drawn.sum()), int((placed.split != NONE).sum())
    report = {
        "rows": {
            "read": read + pq.read_metadata(raw / "rejected.parquet").num_rows,
            "used": used,
            "not_drawn": undrawn + kept - used,  # pairs.augment, pairs.max_*_samples
            "rejected": reasons.total(),
        },
        "rejected": dict(sorted(reasons.items())),
        "corpora": corpora,
        "splits": {
            name: _split_figures(counts[name], placed.group[row_drawn & (placed.split == code)])
            | repeats[name]
            | {"share_reversed": reversed_[name]}
            for code, name in enumerate(SPLITS)
        },
        "groups": placed.groups,
        "leakage": placed.leakage,
    }
    if report["rows"]["read"] != sum(report["rows"][name] for name in ("used", "not_drawn", "rejected")):
        raise RuntimeError(f"rows were lost between reading and writing, which is a bug: {report['rows']}")
    rows_to_show = {title: list(rows_at(raw, its)) for title, its in (examples | placed.leaking).items()}
    write_text(folder / "AUDIT.md", audit_page(report, placed.notes, rows_to_show, rejected))
    return report, placed.notes


def _write_splits(
    pairs: Path, folder: Path, group: np.ndarray, split: np.ndarray, number: np.ndarray
) -> dict[str, Counter]:
    """Stream the pairs into their splits; returns how many there are of each part, corpus and label.

    Args:
        group: the name of each row's group, of shape [raw rows].
        split: of each pair, a place in `SPLITS` or `NONE`. Of shape [pairs].
        number: of each pair, how many like it come before. Of shape [pairs].
    """
    counts: dict[str, Counter] = {name: Counter() for name in SPLITS}
    done = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(pq.ParquetWriter(folder / f"{name}.parquet", PAIR_SCHEMA)) for name in SPLITS]
        for batch in _batches(pairs.iterdir()):
            upto = done + len(batch)
            ids, later = _hexadecimal(batch["digest"].to_numpy()), pa.array(number[done:upto] + 1).cast(pa.string())
            ids = pc.if_else(number[done:upto] == 0, ids, pc.binary_join_element_wise(ids, later, "-"))
            names = _hexadecimal(group[batch["row"].to_numpy()])
            columns = [ids, names, *(batch[name] for name, _ in PAIR_FIELDS)]
            table = pa.Table.from_arrays(columns, schema=PAIR_SCHEMA)
            for code, name in enumerate(SPLITS):
                if (split[done:upto] == code).any():
                    chosen = table.filter(pa.array(split[done:upto] == code))
                    writers[code].write_table(chosen)
                    kinds = chosen.group_by(["part", "corpus", "label"], use_threads=False).aggregate(
                        [([], "count_all")]
                    )
                    for kind in kinds.to_pylist():
                        counts[name][kind["part"], kind["corpus"], kind["label"]] += kind["count_all"]
            done = upto
    _check(counts)
    return counts


def _hexadecimal(numbers: np.ndarray) -> pa.Array:
    """Numbers of 64 bits as text of 16 digits."""
    digits = pa.py_buffer(numbers.astype(">u8").tobytes().hex().encode())
    return pa.Array.from_buffers(pa.binary(16), len(numbers), [None, digits]).cast(pa.string())


def _batches(paths: Iterable[Path], size: int = 10_000) -> Iterator[pa.RecordBatch]:
    for path in sorted(paths):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=size, use_threads=False)


def _check(counts: Mapping[str, Counter]) -> None:
    if empty := next((split for split, its in counts.items() if not its), None):
        raise UserError(f"split {empty!r} is empty; give it rows, a larger share in pairs.split or a higher limit")
    for split, its in counts.items():
        labels = {label for *_, label in its}
        if len(labels) == 1:
            raise UserError(
                f"split {split!r} has label {labels.pop()} only ({its.total()} pairs); both labels are needed, "
                "so check the source's labels or raise the limits pairs.max_*_samples"
            )


def _split_figures(counts: Counter, group: np.ndarray) -> dict[str, Any]:
    parts, corpora, labels = Counter(), Counter(), Counter()
    for its, count in counts.items():
        for sums, name in zip((parts, corpora, labels), its, strict=True):
            sums[name] += count
    return {
        "pairs": counts.total(),
        "positives": labels[1],
        "share_positive": round(labels[1] / counts.total(), 4),
        "groups": len(np.unique(group)),
        "parts": dict(sorted(parts.items())),
        "corpora": dict(sorted(corpora.items())),
    }


def _write_rejected(
    raw: Path, drafts: Path, folder: Path, dropped: Mapping[str, np.ndarray]
) -> tuple[Counter, list[Rejected]]:
    """All rejected rows, whole, into one file: from reading, from pairing, and not used.

    Returns:
        How many there are of each reason, and the first few of each.
    """
    reasons: Counter = Counter()
    examples: dict[str, list[Rejected]] = {}
    paths = (raw / "rejected.parquet", *sorted(drafts.iterdir()))
    read = (Rejected(**record) for path in paths for batch in _batches([path], 1000) for record in batch.to_pylist())
    unused = (Rejected.of(row, reason) for reason, numbers in dropped.items() for row in rows_at(raw, numbers))
    with parquet_sink(folder / "rejected.parquet", REJECTED_SCHEMA) as add:
        for one in chain(read, unused):
            add(rejected_values(one))
            reason = category(one.reason)
            reasons[reason] += 1
            if reasons[reason] <= _EXAMPLES:
                examples.setdefault(reason, []).append(one)
    return reasons, list(chain.from_iterable(examples.values()))
