"""Predictions of the test pairs in a file: what any judge writes and what comparing two of them reads."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fluency.evaluation.scored_pairs import Judged, Pairs
from fluency.sources.dvc_project import opened
from fluency.utils.errors import UserError
from fluency.utils.files import read_parquet, write_parquet

SCHEMA = pa.schema([("id", pa.string()), ("label", pa.int64()), ("score", pa.float64()), ("accepted", pa.bool_())])

PREDICTIONS, PAIRS = Path("results/predictions.parquet"), Path("data/pairs/test.parquet")


def write_predictions(path: Path, judged: Judged) -> None:
    """Write id, label, calibrated score and the decision at the operating point, in row order."""
    write_parquet(
        path,
        [
            {"id": pair["id"], "label": pair["label"], "score": float(score), "accepted": bool(accepted)}
            for pair, score, accepted in zip(judged.pairs, judged.scores, judged.accepted, strict=True)
        ],
        SCHEMA,
    )


def read_predictions(name: str) -> Judged:
    """The predictions that `name` stands for, with their pairs.

    Args:
        name: a Parquet file, `workspace`, or a git revision or DVC experiment, whose outputs DVC has in its cache or
            a remote. The pairs are data/pairs/test.parquet, of the revision or else of the workspace.

    Raises:
        UserError: there is nothing by that name, or it isn't predictions of these pairs.
    """
    if name == "workspace" or name.endswith(".parquet"):
        path = Path(name) if name.endswith(".parquet") else PREDICTIONS
        return join(read_parquet(path), read_parquet(PAIRS), str(path))
    return join(_at(name, PREDICTIONS), _at(name, PAIRS), name)


def _at(revision: str, path: Path) -> list[dict[str, Any]]:
    with opened(str(path), revision) as file:
        return pq.read_table(file).to_pylist()


def join(rows: Sequence[Mapping[str, Any]], pairs: Pairs, name: str) -> Judged:
    """The predictions in `rows` with their pairs, in the order of `pairs`, joined by id; those without are left out.

    Raises:
        UserError: a column is missing, an id is there twice, a score is no number, or a label isn't the pair's.
    """
    if missing := [column for column in SCHEMA.names if rows and column not in rows[0]]:
        raise UserError(f"{name}: {', '.join(missing)}: missing column of predictions; `dvc repro` writes them")
    by_id = {row["id"]: row for row in rows}
    if len(by_id) < len(rows):
        raise UserError(f"{name}: an id is there twice; one prediction for each pair is needed")
    kept = [pair for pair in pairs if pair["id"] in by_id]
    found = [by_id[pair["id"]] for pair in kept]
    for pair, row in zip(kept, found, strict=True):
        if row["label"] != pair["label"]:
            raise UserError(f"{name}: the label of {row['id']} isn't that of the pairs; they are of different data")
        if not (isinstance(row["score"], float) and math.isfinite(row["score"])):
            raise UserError(f"{name}: the score of {row['id']} is no number")
    scores = np.array([row["score"] for row in found], dtype=np.float64)
    accepted = np.array([row["accepted"] for row in found], dtype=bool)
    # Any threshold above the highest score refused and up to the lowest accepted gives the same decisions.
    return Judged(kept, scores, float(scores[accepted].min()) if accepted.any() else math.inf)


def on_the_same_pairs(a: Judged, b: Judged) -> tuple[Judged, Judged]:
    """Both on the pairs that both have, in the order of `a`'s.

    Raises:
        UserError: they have none in common.
    """
    rows_a, rows_b = ({pair["id"]: row for row, pair in enumerate(judged.pairs)} for judged in (a, b))
    common = [id_ for id_ in rows_a if id_ in rows_b]
    if not common:
        raise UserError("the two have no pair in common; compare predictions of the same test pairs")
    return a.at([rows_a[id_] for id_ in common]), b.at([rows_b[id_] for id_ in common])
