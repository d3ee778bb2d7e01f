"""The scorer for batches of columns: what `datasets.map` and Ray Data's `map_batches` hand to their workers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fluency.edits.forms import from_record
from fluency.scorer.artifact import checked, locate, whole_name
from fluency.scorer.table_files import RESULTS


class ScoreBatch:
    """Adds two columns to a batch that has edits: `score`, NaN where an edit has none, and `accepted`.

    It is pickled without the model, which each worker loads once.

    Args:
        source, revision, bf16: of the model, as for `FluencyScorer.load`.
        threshold, min_precision, confidence: of the operating point, as for `FluencyScorer.decide`.

    Raises:
        UserError: there is no model, or no threshold has that precision.

    Example:
        >>> rows.map(ScoreBatch("models/fluency"), batched=True, num_proc=2)  # doctest: +SKIP
    """

    def __init__(
        self,
        source: str | Path,
        *,
        revision: str | None = None,
        bf16: bool | None = None,
        threshold: float | None = None,
        min_precision: float | None = None,
        confidence: float | None = None,
    ) -> None:
        calibration = checked(locate(source, revision))
        self.threshold = calibration.threshold_at(
            threshold=threshold, min_precision=min_precision, confidence=confidence
        )
        # A cache of results, as datasets has one, tells models apart by the digests in it.
        self.calibration = replace(calibration, curve={})
        self._origin = whole_name(source), revision, bf16

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """The batch with both columns.

        Args:
            batch: columns of equal length by name: `before, after` or the others that `changes.from_record` knows.

        Raises:
            CannotScore: there are no columns of an edit.
            ValueError: there is a column `score` or `accepted` already.
        """
        if there := [name for name in RESULTS if name in batch]:
            raise ValueError(f"{there[0]}: the batch has such a column already; rename it, or it would be lost")
        from fluency.scorer.scorer import loaded_once  # loads torch, which only workers need

        columns = {name: batch[name] for name in batch}  # of a pandas table, too
        rows = zip(*columns.values(), strict=True)
        edits = [from_record(dict(zip(columns, row, strict=True))) for row in rows]
        scores = loaded_once(*self._origin).score_edits(edits, errors="nan")
        return {**columns, "score": scores, "accepted": scores >= self.threshold}
