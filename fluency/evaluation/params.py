"""The blocks `decision` and `evaluate` of params.yaml: the operating point, and the intervals of the figures."""

from dataclasses import dataclass

from fluency.utils.config import require


@dataclass(frozen=True)
class DecisionParams:
    min_recall: float | None
    min_precision: float | None
    threshold: float | None
    confidence: float | None

    def __post_init__(self) -> None:
        rules = {name: value for name, value in vars(self).items() if name != "confidence"}
        given = {name: value for name, value in rules.items() if value is not None}
        for name, value in given.items():
            require(0 <= value <= 1, f"decision.{name}: must be between 0 and 1")
        if self.confidence is not None:
            require(0 < self.confidence < 1, "decision.confidence: must be above 0 and below 1, or null")
            require(
                self.threshold is None and bool(given),
                "decision.confidence: needs decision.min_precision or decision.min_recall, which is to hold with it",
            )
        require(
            len(given) == 1,
            f"decision: one of {', '.join(rules)} is needed and the others null; {' and '.join(given) or 'none'} given",
        )


@dataclass(frozen=True)
class EvaluateParams:
    resamples: int
    seed: int

    def __post_init__(self) -> None:
        require(self.resamples >= 100, "evaluate.resamples: must be 100 or more")
