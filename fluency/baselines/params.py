"""The block `baseline` of params.yaml: the logistic regression's."""

from dataclasses import dataclass

from fluency.utils.config import require


@dataclass(frozen=True)
class BaselineParams:
    C: float
    max_iter: int

    def __post_init__(self) -> None:
        require(self.C > 0, "baseline.C: must be above 0")
        require(self.max_iter > 0, "baseline.max_iter: must be above 0")
