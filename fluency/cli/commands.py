"""Command line: `python -m fluency COMMAND --help`."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from fluency.utils.errors import UserError, exit_in_one_line

try:
    from fluency.cli import score as score_command
    from fluency.cli.arguments import add_layout, count, probability
    from fluency.params import load_params
    from fluency.utils.files import read_json, write_text
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}; `make .venv/installed`, then `source .venv/bin/activate`")


def main(arguments: list[str] | None = None) -> None:
    """Run one command; what the user can mend ends in one line and exit code 1."""
    installed = Path(sys.argv[0]).stem == "fluency"
    parser = argparse.ArgumentParser(prog="fluency" if installed else "python -m fluency", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, told: str, **more: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=told, **{"description": f"{told[0].upper()}{told[1:]}."} | more)

    command = add(
        "check", "read params.yaml as the stages will, and say what is wrong in it before anything is started"
    )
    command.set_defaults(run=lambda _: load_params())

    command = add(
        "doctor", "look over machine and checkout before a long run, and say what to do about each thing amiss"
    )
    command.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE",
        help="a param that `dvc exp run -S KEY=VALUE` will set; may be repeated",
    )  # fmt: skip
    command.set_defaults(run=_run_of("doctor"))

    command = add("summary", "print the figures of the last run as tables, and the bounds of the edits that it knows")
    command.set_defaults(run=_summary)

    command = add("readme", "put the committed figures and the stages into the tables of the pages")
    command.set_defaults(run=_readme)

    score_command.add_to(commands)

    command = add(
        "search",
        "let Optuna choose params, one experiment each, by a figure of validation",
        description="Let Optuna choose params, one DVC experiment for each choice, by a figure of validation; the test "
        "stays unseen. What was cut off goes on when the same command is started again. The study, a table and a "
        "picture of which param mattered go to results/search/NAME/.",
        epilog="example: python -m fluency search -S 'edit_head.learning_rate=tag(log,interval(3e-4,3e-3))' "
        "-S edit_head.hidden_size=256,512",
    )  # fmt: skip
    command.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE",
        help="where to look, as `dvc exp run -S` writes it: A,B or interval(LOW,HIGH), int(interval(LOW,HIGH)), "
        "tag(log,interval(LOW,HIGH)); a single value stays; may be repeated",
    )  # fmt: skip
    command.add_argument("--trials", type=count, default=20, help="experiments in all, earlier ones too (%(default)s)")
    command.add_argument(
        "--figure", default="average_precision",
        help="what to raise, in metrics/validation.json, such as precision_at_recall.0.8 (%(default)s)",
    )  # fmt: skip
    command.add_argument("--name", default="search", help="of the study; its experiments are NAME-0 ... (%(default)s)")
    command.add_argument("--seed", type=int, default=42, help="of what is chosen (%(default)s)")
    command.add_argument(
        "--prune", action="store_true",
        help="end a training whose validation average precision is below the median of the earlier ones",
    )  # fmt: skip
    command.set_defaults(run=_run_of("search"))

    command = add(
        "export",
        "pack the trained model into a folder to publish, with its calibration and a model card",
        description="Pack the trained model, its tokenizer, its calibration and a model card with its figures into a "
        "folder, as a model hub has them. An earlier export there is replaced.",
        epilog="example: python -m fluency export exported",
    )
    command.add_argument("folder", type=Path, help="the folder to write")
    command.set_defaults(run=_export)

    command = add(
        "attack",
        "try to get nonsense past the model, and tell how much of each kind gets through",
        description="Try to get nonsense past the model: rewrites of the test sentences with noise, symbols, repeated "
        "words, separators, prompt injections, in another language and so on, chains of harm, and the best of several "
        "random ones by the score. Print how many of each kind are accepted at the operating point, and how many are "
        "outside support, as the stage of that name writes them to metrics/attack.json.",
        epilog="example: python -m fluency attack --limit 0.02",
    )
    command.add_argument("--tries", type=count, help="of each kind, at most one a sentence (as attack.tries)")
    command.add_argument("--rounds", type=count, help="draws in each try of best_of_n (as attack.rounds)")
    command.add_argument("--seed", type=int, help="of what is tried (as attack.seed)")
    command.add_argument(
        "--limit", type=probability, dest="max_accepted", metavar="SHARE",
        help="fail where more than this share of a kind gets through, such as 0.02 (as attack.max_accepted)",
    )  # fmt: skip
    command.set_defaults(run=_run_of("attack"))

    command = add(
        "label",
        "have a language model judge the rewrites that the trained one is least sure of, as a corpus to train on",
        description="Have a language model (the block llm of params.yaml) judge the rewrites that the trained one is "
        "least sure of, and write them to a folder that data.source takes: single edits within support whose score is "
        "nearest to the operating point, one of each group of like sentences, and none like the validation pairs, the "
        "test pairs or the challenge set. It may cost money: llm.max_calls limits it. Answers are kept in "
        ".answers/, and a run that was cut off goes on without asking twice.",
        epilog="example: python -m fluency label rewrites.jsonl -o ../judged --count 200",
    )
    command.add_argument("table", type=Path, metavar="REWRITES", help="a table of rewrites, as score reads it")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="a folder to make")
    command.add_argument("--count", type=count, default=100, help="edits to ask about (%(default)s)")
    command.add_argument("--model", default="models/fluency", help="as score takes it (%(default)s)")
    add_layout(command)
    command.set_defaults(run=_run_of("label"))

    command = add(
        "compare",
        "tell which of two sets of predictions is better, by paired tests, and list the edits on which they disagree",
        description="Tell which of two sets of predictions of the test pairs is better, as Markdown: figures with the "
        "95 % interval of their difference, a sign test by group, and the edits on which they disagree, worst first.",
        epilog="example: python -m fluency compare HEAD workspace",
    )
    for name, default in (("a", "HEAD"), ("b", "workspace")):
        command.add_argument(
            name, nargs="?", default=default,
            help="a predictions file, a git revision, a DVC experiment, or workspace (%(default)s)",
        )  # fmt: skip
    command.add_argument("--limit", type=int, default=20, help="the most disagreements to list (%(default)s)")
    command.set_defaults(run=_run_of("compare"))

    command = add(
        "verify",
        "compute a published run's results again, from its logits and labels",
        description="Compute results.json again from predictions.txt (two logits a row) and labels.txt beside it.",
        epilog="example: python -m fluency verify results",
    )
    command.add_argument("folder", type=Path, help="the folder that has the three files")
    command.set_defaults(run=_verify)

    command = add("convert", "write pairs as the reference's edits (.jsonl) or as M2 (.m2)")
    command.add_argument("pairs", type=Path, help="a Parquet file of pairs, such as data/pairs/test.parquet")
    command.add_argument("to", type=Path, help="the file to write; its suffix tells the format")
    command.set_defaults(run=_run_of("convert"))

    chosen = parser.parse_args(arguments)
    exit_in_one_line(lambda: chosen.run(chosen))


def _run_of(name: str) -> Callable[[argparse.Namespace], None]:
    """What runs the command of the module `fluency.cli.NAME`, which brings torch, DVC or Optuna only then."""

    def run(chosen: argparse.Namespace) -> None:
        try:
            module = import_module(f"fluency.cli.{name}")
        except ModuleNotFoundError as missing:
            raise UserError(
                f"{missing}; `make .venv/installed` in a checkout, or install the extra that has it"
            ) from None
        module.run(chosen)

    return run


def _summary(_: argparse.Namespace) -> None:
    from fluency.evaluation.support import Support
    from fluency.report.summary import summary
    from fluency.sources.dvc_project import freshness

    print(summary(), end="")
    if support := read_json("metrics/validation.json").get("support"):
        print(f"\n{Support.of(support)}")
    if note := freshness().note:
        print(f"note: {note}")


def _export(chosen: argparse.Namespace) -> None:
    from fluency.scorer.export import export
    from fluency.sources.dvc_project import freshness

    if Path("dvc.lock").is_file() and (note := freshness().note):  # the card would have another model's figures
        raise UserError(note)
    export(chosen.folder)
    print(f"{chosen.folder}: {', '.join(sorted(path.name for path in chosen.folder.iterdir()))}")


def _verify(chosen: argparse.Namespace) -> None:
    from fluency.evaluation.predictions import verify_reference

    found = verify_reference(chosen.folder)
    for name, (published, computed) in found.items():
        print(f"{name}: {published:.7f} published, {computed:.7f} computed")
    for name, (published, computed) in found.items():
        if abs(published - computed) > 1e-6:
            raise UserError(
                f"{chosen.folder}/results.json: {name} is off by {abs(published - computed):.7f}; "
                f"logits and labels give {computed:.7f}"
            )


def _readme(_: argparse.Namespace) -> None:
    from fluency.report.summary import filled_pages

    for page, text in filled_pages().items():
        write_text(page, text)
