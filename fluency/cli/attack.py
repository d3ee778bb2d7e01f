"""`python -m fluency attack`: how much nonsense the model accepts."""

import argparse
from pathlib import Path

from fluency import FluencyScorer
from fluency.model.device import use_cores
from fluency.scorer.attack import attack
from fluency.utils.errors import UserError
from fluency.utils.files import read_parquet, write_json
from fluency.utils.markdown import table

MODEL, PAIRS, FIGURES = Path("models/fluency"), Path("data/pairs/test.parquet"), Path("metrics/attack.json")


def run(chosen: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        UserError: there is no model, there are no pairs, or more of a kind gets through than `--limit` allows.
    """
    pairs = read_parquet(PAIRS)
    use_cores()
    found = attack(FluencyScorer.load(MODEL), pairs, tries=chosen.tries, rounds=chosen.rounds, seed=chosen.seed)
    write_json(FIGURES, found)
    rows = [
        (kind.replace("_", " "), its["edits"], f"{its['rate']:.1%} ({its['rate_low']:.1%}-{its['rate_high']:.1%})")
        for kind, its in found.items()
    ]
    print(table(("attack", "tries", "accepted"), rows))
    worst = max(found, key=lambda kind: found[kind]["rate"])
    if found[worst]["rate"] > chosen.limit:
        raise UserError(
            f"{FIGURES}: {found[worst]['rate']:.1%} of {worst} are accepted, more than --limit {chosen.limit}"
        )
