"""`python -m fluency attack`: how much nonsense the model accepts; the file of the figures is the stage's to write."""

import argparse
from dataclasses import fields, replace
from pathlib import Path

from fluency import FluencyScorer
from fluency.model.device import use_machine
from fluency.report.summary import attack_table
from fluency.scorer.attack import attack, refuse_above
from fluency.scorer.params import AttackParams
from fluency.utils.config import read_params
from fluency.utils.files import read_parquet

MODEL, PAIRS = Path("models/fluency"), Path("data/pairs/test.parquet")


def run(chosen: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        UserError: there is no model, there are no pairs, or more of a kind gets through than `--limit` allows, or
            else `attack.max_accepted`.
    """
    params = read_params("attack", AttackParams)
    given = {its.name: getattr(chosen, its.name) for its in fields(params)}
    params = replace(params, **{name: value for name, value in given.items() if value is not None})
    use_machine()
    scorer = FluencyScorer.load(MODEL)  # first: where there is none, it says what fetches it
    found = attack(scorer, read_parquet(PAIRS), params)
    print(attack_table(found))
    refuse_above(params.max_accepted, found, "attack.max_accepted" if chosen.max_accepted is None else "--limit")
