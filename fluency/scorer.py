"""The scorer: the probability that an edit keeps a sentence fluent, and the decision whether to accept it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fluency.calibration import Calibration
from fluency.encoding import encode, load_tokenizer
from fluency.errors import UserError
from fluency.hardware import device_at_hand
from fluency.inference import load_model, predict_logits
from fluency.metrics import probabilities


class FluencyScorer:
    """Scores edits with a trained model and its calibration.

    Example:
        >>> scorer = FluencyScorer.load("models/fluency")  # doctest: +SKIP
        >>> scorer.score("This are a test.", "This is a test.") > 0.5  # doctest: +SKIP
        True
    """

    def __init__(self, folder: str | Path, calibration: Calibration, *, max_length: int = 512) -> None:
        self.device = device_at_hand()
        self.tokenizer = load_tokenizer(folder)
        self.model = load_model(folder, self.device)
        self.calibration = calibration
        self.max_length = max_length

    @classmethod
    def load(cls, folder: str | Path) -> "FluencyScorer":
        """Load a model folder; `calibration.json` is read from beside it, where the pipeline writes it.

        Raises:
            UserError: the model or its calibration is missing.
        """
        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: no model there; `dvc repro` trains one")
        return cls(folder, Calibration.load(folder.parent / "calibration.json"))

    def score(self, before: str, after: str) -> float:
        """The calibrated probability that the edit keeps or improves fluency.

        Raises:
            ValueError: a sentence is empty.
        """
        return float(self.score_edits([(before, after)])[0])

    def score_edits(self, edits: Sequence[tuple[str, str]]) -> np.ndarray:
        """Calibrated probabilities of (before, after) pairs, of shape [edits], in their order.

        Raises:
            ValueError: a sentence is empty; the message has the edit's index.
        """
        for index, edit in enumerate(edits):
            if not all(sentence.strip() for sentence in edit):
                raise ValueError(f"edit {index} has an empty sentence: {edit!r}")
        if not edits:
            return np.empty(0)
        before, after = zip(*edits, strict=True)
        encoded = encode(self.tokenizer, before, after, max_length=self.max_length)
        logits = predict_logits(self.model, encoded, self.device, pad_token_id=self.tokenizer.pad_token_id)
        return probabilities(logits, self.calibration.temperature)

    def decide(self, edits: Sequence[tuple[str, str]], *, threshold: float | None = None) -> np.ndarray:
        """Whether to accept each (before, after) pair, of shape [edits]: its score reaches the operating point.

        Args:
            threshold: another operating point than the calibrated one.
        """
        return self.score_edits(edits) >= (self.calibration.threshold if threshold is None else threshold)
