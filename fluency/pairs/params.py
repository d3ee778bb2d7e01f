"""The block `pairs` of params.yaml: which rows become pairs, and how they are split."""

import math
from dataclasses import dataclass

from fluency.utils.config import require


@dataclass(frozen=True)
class SplitParams:
    train: float
    validation: float
    test: float

    def __post_init__(self) -> None:
        require(
            min(self.train, self.validation, self.test) > 0
            and math.isclose(self.train + self.validation + self.test, 1),
            "pairs.split: train, validation and test must be above 0 and add up to 1",
        )


@dataclass(frozen=True)
class AbsurdParams:
    share: float
    rates: dict[str, float]

    def __post_init__(self) -> None:
        require(0 <= self.share <= 1, "pairs.augment.absurd.share: must be between 0 and 1")
        _check_rates("pairs.augment.absurd.rates", self.rates)


@dataclass(frozen=True)
class AugmentParams:
    per_sentence: float
    corrections: bool
    rates: dict[str, float]
    absurd: AbsurdParams

    def __post_init__(self) -> None:
        require(self.per_sentence >= 0, "pairs.augment.per_sentence: must be 0 or more")
        _check_rates("pairs.augment.rates", self.rates)


def _check_rates(key: str, rates: dict[str, float]) -> None:
    require(
        all(rate >= 0 for rate in rates.values()) and sum(rates.values()) > 0,
        f"{key}: rates must be 0 or more, and one of them above 0",
    )


_CHOICES = {
    "leakage": ("report", "drop_train", "fail"),
    "disagreement": ("any", "majority", "all"),
    "conflicts": ("keep", "drop", "majority"),
    "duplicates": ("keep", "drop"),
}


@dataclass(frozen=True)
class PairsParams:
    seed: int
    single_edit_only: bool
    leakage: str
    near_duplicates: float | None
    disagreement: str
    conflicts: str
    duplicates: str
    split: SplitParams
    augment: AugmentParams
    max_train_samples: int | None
    max_eval_samples: int | None
    max_predict_samples: int | None

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            chosen = getattr(self, key)
            require(chosen in choices, f"pairs.{key}: {chosen!r} is none of {', '.join(choices)}")
        require(
            self.near_duplicates is None or 0.5 <= self.near_duplicates <= 1,
            "pairs.near_duplicates: must be between 0.5 and 1, or null for shared sentences alone",
        )
        for key in ("max_train_samples", "max_eval_samples", "max_predict_samples"):
            limit = getattr(self, key)
            require(limit is None or limit > 0, f"pairs.{key}: must be above 0, or null for no limit")
