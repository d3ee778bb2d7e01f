"""The scorer for batches of columns: what `datasets.map` and Ray Data's `map_batches` hand to their workers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fluency.edits.forms import CannotScore, from_record
from fluency.scorer.artifact import checked, locate, whole_name
from fluency.scorer.inputs import columns_of
from fluency.scorer.outcome import score_of
from fluency.scorer.table_files import RESULTS


class ScoreBatch:
    """Adds columns to a batch that has edits: `score`, NaN where an edit has none; `accepted`; and `reason`.

    The reason says why an edit has no score, or is outside the calibration's support and so not accepted; it is empty
    of all others. It is pickled without the model, which each worker loads once.

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

    def __call__(self, batch: Any) -> dict[str, Any]:
        """The batch with the three columns.

        Args:
            batch: columns of equal length by name, in a dict, an Arrow table or a DataFrame: `before, after` or the
                others that `forms.from_record` knows.

        Raises:
            CannotScore: there are no columns of an edit.
            ValueError: there is a column `score`, `accepted` or `reason` already.
            TypeError: it is a row, as `map` gives it without `batched=True`.
        """
        columns = columns_of(batch)
        if there := [name for name in RESULTS if name in columns]:
            raise ValueError(f"{there[0]}: the batch has such a column already; rename it, or it would be lost")
        from_record(dict.fromkeys(columns))
        from fluency.scorer.scorer import loaded_once  # loads torch, which only workers need

        outcomes = list(loaded_once(*self._origin).score_stream(columns))
        reasons = [str(outcome) if isinstance(outcome, CannotScore) else "" for outcome in outcomes]
        scores = np.array([score_of(outcome) for outcome in outcomes], dtype=np.float64)
        accepted = np.array([not reason for reason in reasons], dtype=bool) & (scores >= self.threshold)
        return {**columns, **dict(zip(RESULTS, (scores, accepted, reasons), strict=True))}
