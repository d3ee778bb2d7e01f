"""`python -m fluency compare`: two sets of predictions, by name."""

import argparse
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from fluency.evaluation.comparison import compare
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.predictions import join, on_the_same_pairs
from fluency.evaluation.scored_pairs import ScoredPairs
from fluency.report.summary import comparison_text
from fluency.sources.dvc_project import freshness, opened
from fluency.utils.config import read_params
from fluency.utils.errors import UserError
from fluency.utils.files import read_parquet

PREDICTIONS, PAIRS = Path("results/predictions.parquet"), Path("data/pairs/test.parquet")


def run(chosen: argparse.Namespace) -> None:
    """Run the command."""
    note = freshness().note if "workspace" in (chosen.a, chosen.b) else ""
    if note and not PREDICTIONS.is_file():
        raise UserError(note)
    (a, of_a), (b, of_b) = (read_predictions(name) for name in (chosen.a, chosen.b))
    both = on_the_same_pairs(a, b)
    if note:
        print(f"note: {note}")
    for name, scored, asked in ((chosen.a, a, of_a), (chosen.b, b, of_b)):
        print(f"{name} answered {len(scored.pairs)} of {asked} pairs.")
    comparison = compare(*both, read_params("evaluate", EvaluateParams))
    print(comparison_text(comparison, (chosen.a, chosen.b), limit=chosen.limit), end="")


def read_predictions(name: str) -> tuple[ScoredPairs, int]:
    """The predictions that `name` stands for, with their pairs, and how many pairs there were to answer.

    Args:
        name: a Parquet file, `workspace`, or a git revision or DVC experiment, whose outputs DVC has in its cache or
            a remote. The pairs are data/pairs/test.parquet, of the revision or else of the workspace.

    Raises:
        UserError: there is nothing by that name, or it isn't predictions of these pairs.
    """
    if name == "workspace" or name.endswith(".parquet"):
        path = Path(name) if name.endswith(".parquet") else PREDICTIONS
        rows, pairs, name = read_parquet(path), read_parquet(PAIRS), str(path)
    else:
        rows, pairs = _at(name, PREDICTIONS), _at(name, PAIRS)
    return join(rows, pairs, name), len(pairs)


def _at(revision: str, path: Path) -> list[dict[str, Any]]:
    with opened(str(path), revision) as file:
        return pq.read_table(file).to_pylist()
