"""Command line: `python -m fluency COMMAND --help`."""

import argparse
import sys
from pathlib import Path

from fluency.errors import UserError
from fluency.params import load_params


def main(arguments: list[str] | None = None) -> None:
    """Run one command; what the user can mend ends in one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m fluency", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("check", help="check params.yaml, before anything is started")
    command.set_defaults(run=lambda _: load_params())

    command = commands.add_parser("summary", help="print the results as a table")
    command.add_argument("--readme", type=Path, help="also put the table between this file's results marks")
    command.set_defaults(run=_summary)

    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")


def _summary(chosen: argparse.Namespace) -> None:
    from fluency.report import summary, write_summary

    table = summary()
    print(table, end="")
    if chosen.readme:
        write_summary(chosen.readme, table)


if __name__ == "__main__":
    main()
