"""Turn canonical rows into labelled pairs with one edit each, split by sentence."""

from pathlib import Path

from fluency.audit import audit
from fluency.corpora import REJECTED_SCHEMA, Rejected, Row, as_dict
from fluency.files import read_parquet, write_json, write_parquet, written_aside
from fluency.pairs import PAIR_SCHEMA, build_pairs
from fluency.params import load_params
from stages import run

RAW, PAIRS, FIGURES = Path("data/raw"), Path("data/pairs"), Path("metrics/data.json")


def main() -> None:
    params = load_params().pairs
    rows = [Row(**row) for row in read_parquet(RAW / "rows.parquet")]
    rejected = [Rejected(**row) for row in read_parquet(RAW / "rejected.parquet")]
    splits, unused = build_pairs(rows, params)
    rejected += unused
    with written_aside(PAIRS) as aside:
        for split, pairs in splits.items():
            write_parquet(aside / f"{split}.parquet", [pair.as_dict() for pair in pairs], PAIR_SCHEMA)
        write_parquet(aside / "rejected.parquet", [as_dict(row) for row in rejected], REJECTED_SCHEMA)
    write_json(FIGURES, audit(rows, splits, rejected))
    print(
        ", ".join(f"{split}: {len(pairs)} pairs" for split, pairs in splits.items()),
        f"; {len(rejected)} rejected",
    )


if __name__ == "__main__":
    run(main)
