"""Turn canonical rows into labelled pairs with one edit each, split by sentence."""

import sys
from pathlib import Path

from fluency.pairs.dataset import build_dataset
from fluency.pairs.params import PairsParams
from fluency.utils.config import read_params
from fluency.utils.files import read_json, write_json, written_aside
from fluency.utils.processes import run_stage

RAW, PAIRS, FIGURES = Path("data/raw"), Path("data/pairs"), Path("metrics/data.json")


def main() -> None:
    with written_aside(PAIRS) as aside:
        aside.mkdir()
        cut = [its["corpus"] for its in read_json(RAW / "manifest.json") if its["split"] == "cut"]
        audit, notes = build_dataset(RAW, aside, read_params("pairs", PairsParams), cut=cut)
    write_json(FIGURES, audit)
    for note in notes:
        print(note, file=sys.stderr)
    splits = ", ".join(f"{split}: {its['pairs']} pairs" for split, its in audit["splits"].items())
    print(f"{splits}; {audit['rows']['rejected']} rows rejected; see {PAIRS}/AUDIT.md")


if __name__ == "__main__":
    run_stage(main)
