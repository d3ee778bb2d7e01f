"""Scoring of whole tables, in files and in pipes. Rows leave in the order in which they came.

What the model says of a file is noted in a journal, a chunk of rows at a time; at the end the scored table is written
from it in one go. So a killed run goes on where it stopped, and its bytes are those of a run that wasn't killed.
"""

import hashlib
import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from queue import Queue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from fluency.corpus.readers import PIPE, BadLine, Record, T, in_chunks, read_batches, read_records, suffix_of
from fluency.edits.forms import EDIT_COLUMNS, AnyEdit, CannotScore, from_record
from fluency.scorer.journal import Note, journal
from fluency.scorer.scored import Counts, scored_sink, write_scored
from fluency.scorer.survey import KNOWN, Survey, check_results, is_table, rejected_file, state_of
from fluency.utils.errors import UserError
from fluency.utils.files import sha256

if TYPE_CHECKING:
    from fluency.scorer.scorer import FluencyScorer, Outcome


class Progress:
    """A bar on a terminal, and anywhere the rate at which rows are scored.

    Args:
        total: rows to come, where that is known.
        shown: whether there is to be a bar on a terminal.
    """

    def __init__(self, total: int | None = None, *, shown: bool = True) -> None:
        self._bar = tqdm(total=total, unit=" rows", smoothing=0.05, disable=None if shown else True)
        self._scored, self._began = 0, monotonic()

    def scored(self, rows: int) -> None:
        """So many more were scored."""
        self._scored += rows
        self._bar.update(rows)

    def found(self, rows: int) -> None:
        """So many more had been scored before."""
        if not self._bar.disable:
            self._bar.initial += rows  # they don't count in its rate
            self._bar.update(rows)

    def close(self) -> str:
        """Leave the bar as it is; returns the rate."""
        self._bar.close()
        return f"{self._scored / max(monotonic() - self._began, 1e-9):,.0f} rows a second"


def score_file(
    scorer: "FluencyScorer",
    source: Path,
    target: Path,
    seen: Survey,
    *,
    threshold: float,
    progress: Progress,
    once: bool = False,
) -> Counts:
    """Score the table in `source` into `target`, and its rows that have no score into `rejected_file(target)`.

    Args:
        seen: what the survey of both found.
        threshold: scores from it on are accepted.
        once: leave a table alone that the same model scored before, with the same threshold.

    Raises:
        UserError: another run is writing `target`, or `source` changes meanwhile.
    """
    with journal(target) as noted:
        key = _key(scorer, source)
        if once and target.exists() and (result := noted.result(key)) and result[0] == threshold:
            progress.found(seen.rows)
            return Counts(*result[1:])
        done = noted.resume(key) * scorer.at_once
        progress.found(min(done, seen.rows))
        for outcomes in scorer.score_chunks(in_chunks(islice(_edits(source), done, None), scorer.at_once)):
            noted.add([_note(outcome) for outcome in outcomes])
            progress.scored(len(outcomes))
        if state_of(source) != seen.state:
            raise UserError(f"{source}: changed while it was scored; score it again")
        counts = write_scored(source, target, noted.notes(), seen.schema, threshold)
        noted.finish(key, [threshold, counts.scored, counts.rejected] if once else None)
    return counts


def score_pipe(scorer: "FluencyScorer", source: Path, target: Path, *, threshold: float, progress: Progress) -> Counts:
    """Score a table as it comes, from or to a pipe: what is scored leaves at once, as JSON Lines.

    Args:
        source, target: one of them is a pipe, or both are.
        threshold: scores from it on are accepted.

    Raises:
        UserError: another run is writing `target`, or a row has a column that scoring adds.
    """
    rows = read_records(source)
    chunks = _as_they_come(rows, scorer.at_once) if source == PIPE else in_chunks(rows, scorer.at_once)
    waiting: deque[list[tuple[int, Record | BadLine]]] = deque()

    def edits() -> Iterator[list[AnyEdit | CannotScore]]:
        for chunk in chunks:
            waiting.append(chunk)
            yield [_edit_of(item) for _, item in chunk]

    with _claimed(target), scored_sink(target, pa.schema([]), threshold) as sink:
        for outcomes in scorer.score_chunks(edits()):
            for (line, item), outcome in zip(waiting.popleft(), outcomes, strict=True):
                check_results(source, () if isinstance(item, BadLine) else item)
                sink.put(line, item, _note(outcome))
            sys.stdout.flush()
            sys.stderr.flush()
            progress.scored(len(outcomes))
    return sink.counts


def tables_of(folder: Path, into: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """The tables in a folder and where each goes, which is the same name in another folder; and what is no table.

    Raises:
        UserError: there are none, or they would get in each other's way.
    """
    if into.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{into}: stands in the folder that is to be scored; name another")
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not _hidden(file.relative_to(folder))]
    tables = [(file, into / file.relative_to(folder)) for file in files if is_table(file)]
    if not tables:
        raise UserError(f"{folder}: holds no table; {KNOWN}")
    written = Counter(path for _, target in tables for path in (target, rejected_file(target)))
    for path, times in written.items():
        if times > 1:
            raise UserError(f"{path}: two tables of {folder} would go there; rename one")
    return tables, [file for file in files if not is_table(file)]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _key(scorer: "FluencyScorer", source: Path) -> str:
    """A name that two runs share only if they give every row the same score."""
    calibration, device = scorer.calibration, getattr(scorer.model, "device", None)
    model = calibration.temperature, calibration.max_length, sorted(calibration.files.items())
    way = type(scorer.model).__name__, device and (device.type, device.bf16), scorer.at_once
    return hashlib.sha256(repr((model, way, sha256(source))).encode()).hexdigest()[:16]


def _edits(source: Path) -> Iterator[AnyEdit | CannotScore]:
    if suffix_of(source) != ".parquet":
        return (_edit_of(item) for _, item in read_records(source))
    columns = [name for name in pq.read_schema(source).names if name in EDIT_COLUMNS]
    return (_edit_of(record) for batch in read_batches(source, columns) for record in batch.to_pylist())


def _edit_of(item: Record | BadLine) -> AnyEdit | CannotScore:
    if isinstance(item, BadLine):
        return CannotScore(item.reason)
    try:
        return from_record(item)
    except CannotScore as error:
        return error


def _note(outcome: "Outcome") -> Note:
    return str(outcome) if isinstance(outcome, CannotScore) else outcome


@contextmanager
def _claimed(target: Path) -> Iterator[None]:
    """Hold a table that is written without a journal as one that has one."""
    if target == PIPE:
        yield
    else:
        with journal(target) as unused:
            yield
            unused.finish("")


def _as_they_come(items: Iterator[T], most: int) -> Iterator[list[T]]:
    """What is there, at most so many at a time; when nothing is, an empty list, and then what comes next."""
    waiting: Queue[T | BaseException | None] = Queue(most)

    def fill() -> None:
        try:
            for item in items:
                waiting.put(item)
            waiting.put(None)
        except BaseException as error:
            waiting.put(error)

    Thread(target=fill, daemon=True).start()
    ended = False
    while not ended:
        chunk = [waiting.get()]
        while len(chunk) < most and not waiting.empty():
            chunk.append(waiting.get())
        last = chunk[-1]
        if ended := last is None or isinstance(last, BaseException):
            chunk.pop()
        yield chunk
        if ended or waiting.empty():
            yield []
    if last is not None:
        raise last
