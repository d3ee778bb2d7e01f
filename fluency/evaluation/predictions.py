"""Predictions of the test pairs in files: what any judge writes, and the reference's own three files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fluency.evaluation.scored_pairs import Pairs, ScoredPairs
from fluency.metrics import negative_log_likelihood, point_metrics, probabilities
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, write_json, write_parquet, write_text

SCHEMA = pa.schema([("id", pa.string()), ("label", pa.int64()), ("score", pa.float64()), ("accepted", pa.bool_())])


def write_predictions(path: Path, scored: ScoredPairs) -> None:
    """Write id, label, calibrated score and the decision at the operating point, in row order."""
    write_parquet(
        path,
        [
            {"id": pair["id"], "label": pair["label"], "score": float(score), "accepted": bool(accepted)}
            for pair, score, accepted in zip(scored.pairs, scored.scores, scored.accepted, strict=True)
        ],
        SCHEMA,
    )


def join(rows: Sequence[Mapping[str, Any]], pairs: Pairs, name: str) -> ScoredPairs:
    """The predictions in `rows` with their pairs, in the order of `pairs`, joined by id; those without are left out.

    Raises:
        UserError: a column is missing, an id is there twice, a label isn't the pair's, a score isn't between 0 and 1,
            or a decision is neither true nor false.
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
        if type(row["score"]) not in (int, float) or not 0 <= row["score"] <= 1:
            raise UserError(f"{name}: the score of {row['id']} is {row['score']!r}, no number between 0 and 1")
        if type(row["accepted"]) is not bool:
            raise UserError(f"{name}: accepted of {row['id']} is {row['accepted']!r}, neither true nor false")
    scores = np.array([row["score"] for row in found], dtype=np.float64)
    return ScoredPairs(kept, scores, None, np.array([row["accepted"] for row in found], dtype=bool))


def on_the_same_pairs(a: ScoredPairs, b: ScoredPairs) -> tuple[ScoredPairs, ScoredPairs]:
    """Both on the pairs that both have, in the order of `a`'s.

    Raises:
        UserError: they have none in common.
    """
    rows_a, rows_b = ({pair["id"]: row for row, pair in enumerate(scored.pairs)} for scored in (a, b))
    common = [id_ for id_ in rows_a if id_ in rows_b]
    if not common:
        raise UserError("the two have no pair in common; compare predictions of the same test pairs")
    return a.at([rows_a[id_] for id_ in common]), b.at([rows_b[id_] for id_ in common])


def reference_results(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What results.json holds: loss and point metrics at argmax, before calibration.

    Args:
        logits: of shape [pairs, 2].
        labels: of shape [pairs], 0 or 1.
    """
    scores = probabilities(logits)
    point = point_metrics(scores > 0.5, labels)
    figures = {"loss": negative_log_likelihood(scores, labels)} | {
        name: point[name] for name in ("accuracy", "precision", "recall", "f1")
    }
    return {f"test_{name}": value for name, value in figures.items()}


def write_reference(folder: Path, logits: np.ndarray, labels: np.ndarray) -> None:
    """Write the reference's own files, in row order: predictions.txt (two logits a row), labels.txt, results.json."""
    write_text(folder / "predictions.txt", "".join(f"{first:.9g} {second:.9g}\n" for first, second in logits))
    write_text(folder / "labels.txt", "".join(f"{label}\n" for label in labels))
    write_json(folder / "results.json", reference_results(logits, labels))


def verify_reference(folder: Path) -> dict[str, tuple[float, float]]:
    """Compute a published run's results again: by name, what results.json says and what its logits and labels give.

    Raises:
        UserError: a file is missing or isn't what it should be.
    """
    published = read_json(folder / "results.json")
    logits, labels = (_numbers(folder / f"{name}.txt") for name in ("predictions", "labels"))
    if (
        logits.ndim != 2
        or logits.shape[1] != 2
        or labels.shape != logits.shape[:1]
        or not np.isin(labels, (0, 1)).all()
    ):
        raise UserError(f"{folder}: predictions.txt needs two logits a row, and labels.txt 0 or 1 for each row")
    return {
        name: (float(published[name]), value)
        for name, value in reference_results(logits, labels.astype(int)).items()
        if name in published
    }


def read_logits(path: Path) -> np.ndarray:
    """The logits in a predictions.txt: float32, of shape [pairs, 2].

    Raises:
        UserError: the file is missing or holds something else.
    """
    return _numbers(path).astype(np.float32)  # nine digits give a float32 back


def _numbers(path: Path) -> np.ndarray:
    try:
        numbers = np.loadtxt(path, delimiter="," if "," in path.read_text(encoding="utf-8") else None)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; a run's results folder has it") from None
    except ValueError as error:
        raise UserError(f"{path}: not a table of numbers ({error})") from None
    if not (finite := np.isfinite(numbers)).all():
        raise UserError(
            f"{path}: line {int(np.argwhere(~finite)[0][0]) + 1}: no finite number; the run went wrong there"
        )
    return numbers
