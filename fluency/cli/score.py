"""`python -m fluency score`: one edit, a table, a pipe, or a folder of shards."""

import argparse
import errno
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from fluency.cli.arguments import add_layout, layout_of, probability
from fluency.corpus.lines import PIPE, suffix_of
from fluency.edits.forms import CannotScore
from fluency.evaluation.support import OutsideSupport
from fluency.scorer.table_source import KNOWN, is_table, look_over, rejected_file
from fluency.scorer.tables import score_pipe, score_table
from fluency.sources.data import NOT_ROWS
from fluency.utils.errors import UserError
from fluency.utils.processes import die_with_parent, share_of_work

if TYPE_CHECKING:
    from fluency.scorer.scorer import FluencyScorer

_DESCRIPTION = """\
Give each edit a score, the calibrated probability that it keeps or improves fluency, and say whether it is accepted at
the threshold that validation chose.

A table is JSON Lines (.jsonl, .ndjson), JSON, CSV or TSV (each also as .gz), Parquet, or Arrow (.arrow). Its columns
are `before, after`; `sentence, part, rewrite`; or `original_sentence, inappropriate_part, rewritten_part`. The last two
may have `occurrence`, too.

Every row is written as it came, with `score`, `accepted` and `reason`. An edit unlike those of validation has a score,
but is not accepted, and the reason says why (`python -m fluency summary` prints the bounds). A row that cannot be
scored is written to OUTPUT.rejected.jsonl, with its line and the reason. If every row is rejected, the command fails.

A run that was cut off goes on when you start it again. Another threshold needs no new scores: they stay in a hidden
folder, .OUTPUT.parts, which you may delete. One warning says if the edits no longer look like validation, so that no
certificate holds for them."""

_EXAMPLES = """\
examples:
  python -m fluency score --before "This are a test." --after "This is a test."
  python -m fluency score edits.jsonl -o scored.jsonl
  python -m fluency score edits.csv.gz -o scored.parquet --min-precision 0.95
  python -m fluency score edits.csv -o scored.csv --before-column source --after-column target --delimiter ";"
  make-edits | python -m fluency score - | use-scores             pipes carry JSON Lines
  python -m fluency score shards/ -o scored/                      each shard becomes the shard of the same name
  accelerate launch --multi_gpu --num_processes 4 --module fluency score shards/ -o scored/      on four GPUs
  python -m fluency score edits.jsonl -o scored.jsonl --model https://HOST/REPOSITORY --revision v1.0"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Make the command known."""
    command = commands.add_parser(
        "score", help="say of one edit, or of each row of a table, whether it keeps its sentence fluent",
        description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.add_argument("table", nargs="?", type=Path, help="a table, a folder of tables, or - for standard input")
    command.add_argument(
        "-o", "--output", type=Path, default=PIPE,
        help="the file or folder to write; an earlier one is replaced (standard output)",
    )  # fmt: skip
    command.add_argument("--before", help="the sentence before the edit, to score one edit")
    command.add_argument("--after", help="the sentence after it")
    add_layout(command)
    command.add_argument(
        "--model", default="models/fluency",
        help="the model's folder, a git repository of this project, or a hub's OWNER/NAME (%(default)s)",
    )  # fmt: skip
    command.add_argument("--revision", help="the repository's branch, tag, commit or DVC experiment")
    point = command.add_mutually_exclusive_group()
    point.add_argument("--threshold", type=probability, help="accept a score of this or more")
    point.add_argument(
        "--min-precision", type=probability, help="accept as many as this precision on validation allows"
    )
    command.add_argument("--confidence", type=probability, help="how certain --min-precision must be, such as 0.95")
    command.set_defaults(run=score)


class Progress:
    """A bar on a terminal, and anywhere the rate at which rows are scored; called as `tables.Progress` says.

    Args:
        total: rows to come, where that is known.
        shown: whether there is to be a bar on a terminal.
    """

    def __init__(self, total: int | None = None, *, shown: bool = True) -> None:
        self._bar = tqdm(total=total, unit=" rows", smoothing=0.05, disable=None if shown else True)
        self._scored, self._before, self._began = 0, 0, monotonic()

    def __call__(self, rows: int, before: bool) -> None:
        if not before:
            self._scored += rows
        else:
            self._before += rows
            self._bar.initial = self._before  # they don't count in its rate
        self._bar.update(rows)

    def close(self) -> str:
        """Leave the bar as it is; returns the rate."""
        self._bar.close()
        if self._before and not self._scored:
            return "all by scores that were there"
        return f"{self._scored / max(monotonic() - self._began, 1e-9):,.0f} rows a second"


def score(chosen: argparse.Namespace) -> None:
    """Run the command."""
    one = chosen.table is None
    if [chosen.before, chosen.after].count(None) != (0 if one else 2):
        raise UserError("give a table, or --before and --after; --help has examples")
    if chosen.confidence is not None and (chosen.min_precision is None or chosen.confidence in (0, 1)):
        raise UserError("--confidence: above 0 and below 1, and with --min-precision, which is to hold with it")
    if one and chosen.output != PIPE:
        raise UserError("--output: the score of one edit is printed; give a table")
    try:
        if one:
            _score_one(chosen)
        elif PIPE in (chosen.table, chosen.output):
            _score_pipe(chosen)
        else:
            _score_files(chosen)
    except KeyboardInterrupt:
        raise UserError("interrupted; the same command goes on where it stopped, except from or to a pipe") from None
    except BrokenPipeError:  # who read from here has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(
            f"{chosen.output}: no space is left there; free some, and start the same command again"
        ) from None


def _score_one(chosen: argparse.Namespace) -> None:
    scorer, how = _loaded(chosen)
    (outcome,) = scorer.score_stream([(chosen.before, chosen.after)])
    if isinstance(outcome, OutsideSupport):
        print(f"{outcome.score:.4f}  not accepted: {outcome}")
    elif isinstance(outcome, CannotScore):
        raise UserError(str(outcome))
    else:
        verdict = "accepted" if outcome >= how["threshold"] else "not accepted"
        print(f"{outcome:.4f}  {verdict} at the operating point {how['threshold']:.4f}")


def _score_pipe(chosen: argparse.Namespace) -> None:
    if chosen.table.is_dir():
        raise UserError(f"{chosen.table}: a folder needs another to go to, -o FOLDER")
    if suffix_of(chosen.output) not in (".jsonl", ".ndjson"):
        raise UserError(f"{chosen.output}: from a pipe come JSON Lines; name a .jsonl, or score a file")
    layout = layout_of(chosen)
    rows = None if chosen.table == PIPE else look_over(chosen.table, layout=layout).rows
    scorer, how = _loaded(chosen)
    progress = Progress(rows)
    counts = score_pipe(scorer, chosen.table, chosen.output, progress=progress, layout=layout, **how)
    aside = "standard error" if chosen.output == PIPE else rejected_file(chosen.output)
    _tell(str(chosen.output), counts, aside, progress)


def _score_files(chosen: argparse.Namespace) -> None:
    source, target = chosen.table, chosen.output
    folder = source.is_dir()
    rank, processes = share_of_work(os.environ)
    if processes > 1:
        if not folder:
            raise UserError(f"{source}: {processes} processes were started; they share a folder, not one file")
        die_with_parent(os.environ)
    tables, others = tables_of(source, target) if folder else ([(source, target)], [])
    if others and rank == 0:
        print(f"left out, for they are no tables: {', '.join(map(str, others))}", file=sys.stderr)
    layout = layout_of(chosen)
    # all first: what is amiss is to be said at once
    work = [look_over(*files, layout) for files in tables[rank::processes]]
    scorer, how = _loaded(chosen)
    progress, counts = Progress(sum(table.rows for table in work), shown=rank == 0), Counter(scored=0, rejected=0)
    for table in work:
        counts.update(score_table(scorer, table, progress=progress, **how))
    which = f" ({len(work)} tables of process {rank})" if processes > 1 else ""
    aside = "*.rejected.jsonl" if folder else rejected_file(target)
    _tell(f"{target}{which}", counts, aside, progress, alone=processes == 1)


def tables_of(folder: Path, into: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """The tables in a folder and where each goes, which is the same name in another folder; and what is no table.

    Raises:
        UserError: there are none, they would get in each other's way, or `into` is no folder.
    """
    if into.is_file():
        raise UserError(f"{into}: is a file; a folder of tables goes to a folder")
    if into.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{into}: stands in the folder that is to be scored; name another")
    files = [
        file for file in sorted(folder.rglob("*")) if file.is_file() and "/." not in f"/{file.relative_to(folder)}"
    ]
    sources = dict.fromkeys(file for file in files if is_table(file) and not any(map(file.match, NOT_ROWS)))
    tables = [(file, into / file.relative_to(folder)) for file in sources]
    if not tables:
        raise UserError(f"{folder}: holds no table; {KNOWN}")
    written = Counter(path for _, target in tables for path in (target, rejected_file(target)))
    for path, times in written.items():
        if times > 1:
            raise UserError(f"{path}: two tables of {folder} would go there; rename one")
    return tables, [file for file in files if file not in sources]


def _loaded(chosen: argparse.Namespace) -> "tuple[FluencyScorer, dict[str, Any]]":
    """The scorer, the threshold at which it accepts, and what tells of drift on standard error."""
    from fluency import FluencyScorer
    from fluency.model.device import use_machine

    use_machine()
    scorer = FluencyScorer.load(chosen.model, revision=chosen.revision)
    asked = {name: getattr(chosen, name) for name in ("threshold", "min_precision", "confidence")}
    return scorer, {"threshold": scorer.calibration.threshold_at(**asked), "tell": _warning()}


def _warning() -> Callable[[str], None]:
    """Prints the first warning that it is given, and no other: of a folder's tables, many may drift alike."""
    told: list[str] = []

    def warn(message: str) -> None:
        if not told:
            tqdm.write(f"warning: {message}", file=sys.stderr)
        told.append(message)

    return warn


def _tell(where: str, counts: Counter, aside: Path | str, progress: Progress, *, alone: bool = True) -> None:
    """The last line.

    Args:
        alone: whether there is no other process of a launch, which a failure of this one would end.

    Raises:
        UserError: every row was rejected.
    """
    pace = progress.close()
    if counts["rejected"] and not counts["scored"] and alone:
        raise UserError(f"{where}: every row was rejected, {counts['rejected']:,} in all; {aside} says why")
    rejected = f"{counts['rejected']:,} rejected{f' ({aside})' if counts['rejected'] else ''}"
    print(f"{where}: {counts['scored']:,} rows scored, {rejected}, {pace}", file=sys.stderr)
