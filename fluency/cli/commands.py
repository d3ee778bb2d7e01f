"""The command line: which commands there are, and what they take."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from fluency.utils.errors import UserError, exit_in_one_line

try:
    from fluency.cli import score as score_command
    from fluency.cli.arguments import add_layout, count, probability, study
    from fluency.params import load_params
    from fluency.utils.files import read_json, write_text
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}; `make .venv/installed`, then `source .venv/bin/activate`")


def main(arguments: list[str] | None = None) -> None:
    """Run one command; what the user can mend ends in one line and exit code 1."""
    installed = Path(sys.argv[0]).stem == "fluency"
    parser = argparse.ArgumentParser(
        prog="fluency" if installed else "python -m fluency",
        description="Train, measure and use a model that tells whether an edit keeps its sentence fluent.",
        epilog="COMMAND --help explains a command.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, told: str, **more: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=told, **{"description": f"{told[0].upper()}{told[1:]}."} | more)

    command = add("check", "read params.yaml as the stages will, and say what is wrong in it, before a run")
    command.set_defaults(run=lambda _: load_params())

    command = add("doctor", "look at this machine and this copy before a long run, and say how to mend what is wrong")
    command.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE",
        help="a param as `dvc exp run -S KEY=VALUE` will set it; may be repeated",
    )  # fmt: skip
    command.set_defaults(run=_run_of("doctor"))

    command = add(
        "summary", "print the figures of the last run as tables, and the bounds within which an edit is judged"
    )
    command.set_defaults(run=_summary)

    command = add("readme", "write the committed figures and the stages into the tables of the pages")
    command.set_defaults(run=_readme)

    score_command.add_to(commands)

    command = add(
        "search",
        "let Optuna choose params by a figure of validation, one experiment for each choice",
        description="Let Optuna choose params by a figure of validation, one DVC experiment for each choice. The test "
        "pairs are not looked at. A run that was cut off goes on when you start the same command again. The study, a "
        "table, and a picture that shows which params mattered are written to results/search/NAME/.",
        epilog="example: python -m fluency search -S 'edit_head.learning_rate=tag(log,interval(3e-4,3e-3))' "
        "-S edit_head.hidden_size=256,512",
    )  # fmt: skip
    command.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE",
        help="the values to try, as `dvc exp run -S` writes them: A,B or interval(LOW,HIGH), int(interval(LOW,HIGH)), "
        "tag(log,interval(LOW,HIGH)); a single value is the same in all trials; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--trials", type=count, default=20, help="number of experiments, with earlier ones (%(default)s)"
    )
    command.add_argument(
        "--figure", default="average_precision",
        help="the figure of metrics/validation.json to raise, such as precision_at_recall.0.8 (%(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--name", type=study, default="search", help="name of the study; its experiments are NAME-0 ... (%(default)s)"
    )
    command.add_argument("--seed", type=int, default=42, help="seed of the choices (%(default)s)")
    command.add_argument(
        "--prune", action="store_true",
        help="end a training early if its average precision on validation is below the median of the earlier ones",
    )  # fmt: skip
    command.set_defaults(run=_run_of("search"))

    command = add(
        "export",
        "pack the trained model into a folder to publish, with its calibration and a model card",
        description="Pack the trained model, its tokenizer, its calibration, and a model card with its figures into a "
        "folder that a model hub takes. An earlier export in this folder is replaced.",
        epilog="example: python -m fluency export exported",
    )
    command.add_argument("folder", type=Path, help="the folder to write")
    command.add_argument(
        "--one-logit", action="store_true",
        help="for vLLM's /score and TEI's /rerank, which then answer with the calibrated score (cross-encoders only)",
    )  # fmt: skip
    command.set_defaults(run=_export)

    command = add(
        "attack",
        "try to get nonsense past the model, and print how much of each kind it accepts",
        description="Try to get nonsense past the model: the test sentences with noise, symbols, repeated words, "
        "separators or prompt injections, in another language and so on; several harmful edits in a row; and the best "
        "by score of several random rewrites. Print how many of each kind the model accepts at its threshold, and how "
        "many are unlike validation, so that it was not asked. The stage `attack` writes the same to "
        "metrics/attack.json.",
        epilog="example: python -m fluency attack --limit 0.02",
    )
    command.add_argument("--tries", type=count, help="attempts of each kind, one a sentence at most (attack.tries)")
    command.add_argument("--rounds", type=count, help="draws in each attempt of best_of_n (attack.rounds)")
    command.add_argument("--seed", type=int, help="seed of the attempts (attack.seed)")
    command.add_argument(
        "--limit", type=probability, dest="max_accepted", metavar="SHARE",
        help="fail if more than this share of any kind is accepted, such as 0.02 (attack.max_accepted)",
    )  # fmt: skip
    command.set_defaults(run=_run_of("attack"))

    command = add(
        "label",
        "let a language model judge the rewrites of which yours is least sure, and write a corpus to train on",
        description="Let a language model (the block llm of params.yaml) judge the rewrites of which the trained model "
        "is least sure, and write them to a folder that data.source takes. These are single edits like those of "
        "validation whose score is nearest to the threshold, one of each group of like sentences. None is like the "
        "validation pairs, the test pairs or the challenge set. It may cost money; llm.max_calls is the limit. Answers "
        "are kept in .answers/, so a run that was cut off goes on and asks nothing twice.",
        epilog="example: python -m fluency label rewrites.jsonl -o ../judged --count 200",
    )
    command.add_argument("table", type=Path, metavar="REWRITES", help="a table of rewrites, as `score` reads it")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the new folder to write")
    command.add_argument("--count", type=count, default=100, help="number of edits to ask about (%(default)s)")
    command.add_argument(
        "--model", default="models/fluency", help="the trained model, as `score` takes it (%(default)s)"
    )
    add_layout(command)
    command.set_defaults(run=_run_of("label"))

    command = add(
        "compare",
        "test which of two sets of predictions is better, and list the edits on which they disagree",
        description="Test which of two sets of predictions of the test pairs is better. Print as Markdown the figures "
        "with the 95 % interval of their difference, a sign test by group, and the edits on which they disagree, worst "
        "first.",
        epilog="example: python -m fluency compare HEAD workspace",
    )
    for name, default in (("a", "HEAD"), ("b", "workspace")):
        command.add_argument(
            name, nargs="?", default=default,
            help="a predictions file, a git revision, a DVC experiment, or workspace (%(default)s)",
        )  # fmt: skip
    command.add_argument("--limit", type=count, default=20, help="number of disagreements to list (%(default)s)")
    command.set_defaults(run=_run_of("compare"))

    command = add(
        "verify",
        "compute a published run's results again, from its logits and labels",
        description="Compute results.json again from predictions.txt (two logits a row) and labels.txt beside it, and "
        "fail if a figure differs.",
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
        print(f"\n{Support(**support)}")
    if note := freshness().note:
        print(f"note: {note}")


def _export(chosen: argparse.Namespace) -> None:
    from fluency.scorer.export import export, export_one_logit
    from fluency.sources.dvc_project import freshness

    if Path("dvc.lock").is_file() and (note := freshness().note):  # the card would have another model's figures
        raise UserError(note)
    (export_one_logit if chosen.one_logit else export)(chosen.folder)
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
