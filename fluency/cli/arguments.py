"""Arguments that several commands have."""

import argparse
import re

from fluency.corpus.lines import suffix_of
from fluency.scorer.table_source import Layout
from fluency.utils.errors import UserError


def add_layout(command: argparse.ArgumentParser) -> None:
    """Make the options of `layout_of` known."""
    command.add_argument("--before-column", metavar="NAME", help="the table's column of sentences before the edit")
    command.add_argument("--after-column", metavar="NAME", help="its column of sentences after the edit")
    command.add_argument(
        "--delimiter", type=delimiter, metavar="MARK", help="what stands between cells (from the suffix)"
    )


def layout_of(chosen: argparse.Namespace) -> Layout:
    """How the chosen tables hold edits.

    Raises:
        UserError: the options do not go together.
    """
    if (chosen.before_column is None) != (chosen.after_column is None):
        raise UserError("--before-column, --after-column: give both, or none")
    if chosen.before_column and chosen.before_column == chosen.after_column:
        raise UserError("--before-column, --after-column: name two columns")
    if chosen.delimiter and not chosen.table.is_dir() and suffix_of(chosen.table) not in (".csv", ".tsv"):
        raise UserError(f"{chosen.table}: --delimiter is for .csv and .tsv")
    return Layout(chosen.before_column, chosen.after_column, chosen.delimiter)


def delimiter(text: str) -> str:
    """One character, of which `\\t` is a tab; argparse names this function where it is none.

    Raises:
        ArgumentTypeError: it is none, or one that has another meaning in CSV.
    """
    mark = "\t" if text == "\\t" else text
    if len(mark) != 1 or mark in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r} is no single mark other than a quotation mark or the end of a line")
    return mark


def probability(text: str) -> float:
    """A number between 0 and 1; argparse names this function where it is none."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def study(text: str) -> str:
    """A name that may stand in a path and in a git reference; argparse names this function where it is none."""
    if not re.fullmatch(r"\w[\w-]*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} has more than letters, digits, - and _")
    return text


def count(text: str) -> int:
    """A whole number from 1; argparse names this function where it is none."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value
