"""Scoring of whole tables, in files, folders and pipes. Rows leave in the order in which they came.

A table is looked over before the model is asked (`table_source`), scored in parts that a killed run goes on from
(`parts`), and written whole at the end (`table_files`).
"""

import hashlib
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import pyarrow as pa

from fluency.corpus.lines import PIPE, BadLine, suffix_of
from fluency.corpus.readers import Record, T, in_chunks
from fluency.edits.forms import AnyEdit, CannotScore
from fluency.evaluation.monitor import Monitor
from fluency.evaluation.support import OutsideSupport
from fluency.scorer.outcome import Outcome
from fluency.scorer.parts import Note, Parts, claimed
from fluency.scorer.table_files import scored_rows, write_scored
from fluency.scorer.table_source import AS_NAMED, Layout, Table, check_results, rejected_file, state_of
from fluency.utils.files import sha256

if TYPE_CHECKING:
    from fluency.scorer.scorer import FluencyScorer

Progress = Callable[[int, bool], None]  # told how many rows have a score now, and whether they had one before
Tell = Callable[[str], None]


def score_table(scorer: "FluencyScorer", table: Table, *, threshold: float, progress: Progress, tell: Tell) -> Counter:
    """Score a table, its rows that have no score into `rejected_file(table.target)`.

    Rows that the same model scored before are not scored again; another threshold decides anew. A scored table that
    stands there as it would be written is left alone.

    Args:
        threshold: scores from it on are accepted.
        tell: is told once, by the name of the table, in what its edits no longer look like validation; also where that
            was seen by an earlier run, which was killed or has scored it all.

    Returns:
        How many rows were `scored` and how many `rejected`.

    Raises:
        UserError: another run is writing the target, or the source changes meanwhile.
    """
    with claimed(table.target) as folder:
        parts = Parts(folder, _key(scorer, table))

        def told(drift: str) -> None:
            parts.keep_drift(drift)
            tell(f"{table.source}: {drift}")

        monitor = Monitor(scorer.calibration.reference, told)
        monitor.note(parts.drift())
        written = parts.written()
        if written and written == _written(table.target, threshold, written["counts"]):
            progress(table.rows, True)
            return Counter(written["counts"])
        numbers = _finish(parts, scorer, table, progress, monitor)
        table.check_unchanged()
        counts = write_scored(table, (note for part in numbers for note in parts.notes(part)), threshold)
        parts.write_down(_written(table.target, threshold, counts))
    return counts


def score_pipe(
    scorer: "FluencyScorer",
    source: Path,
    target: Path,
    *,
    threshold: float,
    progress: Progress,
    tell: Tell,
    layout: Layout = AS_NAMED,
) -> Counter:
    """Score a table as it comes, from or to a pipe: what is scored leaves at once, as JSON Lines.

    Args:
        source, target: one of them is a pipe, or both are.
        threshold: scores from it on are accepted.
        tell: is told once in what the edits no longer look like validation.
        layout: how the rows hold edits.

    Returns:
        How many rows were `scored` and how many `rejected`.

    Raises:
        UserError: another run is writing `target`, or a row has a column that scoring adds.
    """
    rows = layout.read(source)
    chunks = as_they_come(rows, scorer.at_once) if source == PIPE else in_chunks(rows, scorer.at_once)
    waiting: deque[list[tuple[int, Record | BadLine]]] = deque()

    def edits() -> Iterator[list[AnyEdit | CannotScore]]:
        for chunk in chunks:
            waiting.append(chunk)
            yield [layout.edit_of(item) for _, item in chunk]

    monitor = Monitor(scorer.calibration.reference, tell)
    held = nullcontext() if target == PIPE else claimed(target)
    with held, scored_rows(target, pa.schema([]), threshold) as (put, counts):
        for outcomes in scorer.score_chunks(edits(), monitor=monitor):
            for (line, item), outcome in zip(waiting.popleft(), outcomes, strict=True):
                check_results(source, () if isinstance(item, BadLine) else item)
                put(line, item, _note(outcome))
            sys.stdout.flush()
            sys.stderr.flush()
            progress(len(outcomes), False)
    return counts


def as_they_come(items: Iterator[T], most: int) -> Iterator[list[T]]:
    """What is there, at most so many at a time; when nothing is, an empty list, and then what comes next."""
    waiting: Queue[T | BaseException] = Queue(most)

    def fill() -> None:
        try:
            for item in items:
                waiting.put(item)
            waiting.put(StopIteration())
        except BaseException as error:
            waiting.put(error)

    Thread(target=fill, daemon=True).start()
    chunk: list[T] = []
    while not isinstance(item := waiting.get(), BaseException):
        chunk.append(item)
        nothing = waiting.empty()
        if nothing or len(chunk) == most:
            yield chunk
            chunk = []
        if nothing:
            yield []
    yield from (chunk, [])
    if not isinstance(item, StopIteration):
        raise item


def _finish(parts: Parts, scorer: "FluencyScorer", table: Table, progress: Progress, monitor: Monitor) -> range:
    """Score the rows of the parts that are missing; returns the numbers of all parts."""
    sizes = [min(scorer.at_once, table.rows - first) for first in range(0, table.rows, scorer.at_once)]
    missing = {part: size for part, size in enumerate(sizes) if len(parts.notes(part)) != size}
    progress(table.rows - sum(missing.values()), True)

    def edits() -> Iterator[list[AnyEdit | CannotScore]]:
        chunks = enumerate(in_chunks(table.layout.edits(table.source), scorer.at_once))
        for part, chunk in islice(chunks, max(missing, default=-1) + 1):
            if part in missing:
                yield chunk

    for part, outcomes in zip(missing, scorer.score_chunks(edits(), monitor=monitor), strict=False):
        table.check_unchanged()  # or this would be kept as scores of what stood there before
        parts.add(part, [_note(outcome) for outcome in outcomes])
        progress(len(outcomes), False)
    return range(len(sizes))


def _written(target: Path, threshold: float, counts: Counter) -> dict[str, object]:
    """What is noted of a table that was written, in the values that JSON gives back."""
    files = [list(state_of(file)) if file.exists() else None for file in (target, rejected_file(target))]
    return {"threshold": threshold, "counts": dict(counts), "files": files}


def _key(scorer: "FluencyScorer", table: Table) -> str:
    """A name that two runs share only if they give every row the same score."""
    calibration, device = scorer.calibration, scorer.classifier.device
    model = (
        calibration.slope,
        calibration.intercept,
        calibration.max_length,
        sorted(calibration.files.items()),
        calibration.support,
    )
    way = device.type, device.bf16, scorer.at_once
    what = suffix_of(table.source), sha256(table.source), table.layout
    return hashlib.sha256(repr((model, way, what)).encode()).hexdigest()[:16]


def _note(outcome: Outcome) -> Note:
    if isinstance(outcome, CannotScore):
        return Note(outcome.score if isinstance(outcome, OutsideSupport) else None, str(outcome))
    return Note(outcome, None)
