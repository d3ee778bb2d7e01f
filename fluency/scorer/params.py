"""The block `attack` of params.yaml: how hard the scorer is attacked, and how much may get through."""

from dataclasses import dataclass

from fluency.utils.config import require


@dataclass(frozen=True)
class AttackParams:
    tries: int
    rounds: int
    max_accepted: float | None
    seed: int

    def __post_init__(self) -> None:
        require(self.tries > 0, "attack.tries: must be above 0")
        require(self.rounds > 0, "attack.rounds: must be above 0")
        if self.max_accepted is not None:
            require(0 <= self.max_accepted <= 1, "attack.max_accepted: must be between 0 and 1, or null")
