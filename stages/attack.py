"""Try to get nonsense past the model at its operating point; write how much of each kind gets through."""

from pathlib import Path

from fluency.model.device import use_machine
from fluency.scorer.attack import attack, refuse_above
from fluency.scorer.params import AttackParams
from fluency.scorer.scorer import FluencyScorer
from fluency.utils.config import read_params
from fluency.utils.files import read_parquet, write_json
from fluency.utils.processes import run_stage

MODEL, TEST, FIGURES = Path("models/fluency"), Path("data/pairs/test.parquet"), Path("metrics/attack.json")


def main() -> None:
    params, pairs = read_params("attack", AttackParams), read_parquet(TEST)
    use_machine()
    found = attack(FluencyScorer.load(MODEL), pairs, params)
    write_json(FIGURES, found)
    refuse_above(params.max_accepted, found)


if __name__ == "__main__":
    run_stage(main)
