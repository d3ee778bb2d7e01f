"""What params.yaml holds, block by block, and the ranges that its values keep."""

import math
from dataclasses import dataclass
from pathlib import Path

from fluency.utils.config import read_yaml, require


@dataclass(frozen=True)
class DataParams:
    source: str | list[str]
    format: str | None
    tasks: list[str]

    def __post_init__(self) -> None:
        require(bool(self.source), "data.source: names no source")
        for source in self.sources:
            require(self.sources.count(source) == 1, f"data.source: names {source!r} twice")
        known = ("reference", "parallel", "jfleg", "m2", "labelled")
        require(self.format in (None, *known), f"data.format: {self.format!r} is none of {', '.join(known)}")

    @property
    def sources(self) -> list[str]:
        """The sources, of which `source` may be one."""
        return [self.source] if isinstance(self.source, str) else self.source


@dataclass(frozen=True)
class ModelParams:
    source: str
    sha256: str | None


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
class AugmentParams:
    per_sentence: int
    corrections: bool
    rates: dict[str, float]

    def __post_init__(self) -> None:
        require(self.per_sentence >= 0, "pairs.augment.per_sentence: must be 0 or more")
        require(
            all(rate >= 0 for rate in self.rates.values()) and sum(self.rates.values()) > 0,
            "pairs.augment.rates: rates must be 0 or more, and one of them above 0",
        )


@dataclass(frozen=True)
class PairsParams:
    seed: int
    single_edit_only: bool
    leakage: str
    split: SplitParams
    augment: AugmentParams
    max_train_samples: int | None
    max_eval_samples: int | None
    max_predict_samples: int | None

    def __post_init__(self) -> None:
        choices = ("report", "drop_train", "fail")
        require(self.leakage in choices, f"pairs.leakage: {self.leakage!r} is none of {', '.join(choices)}")
        for key in ("max_train_samples", "max_eval_samples", "max_predict_samples"):
            limit = getattr(self, key)
            require(limit is None or limit > 0, f"pairs.{key}: must be above 0, or null for no limit")


@dataclass(frozen=True)
class BaselineParams:
    C: float
    max_iter: int

    def __post_init__(self) -> None:
        require(self.C > 0, "baseline.C: must be above 0")
        require(self.max_iter > 0, "baseline.max_iter: must be above 0")


_TRAIN_CHOICES = {
    "metric_for_best_model": ("precision", "f1", "average_precision"),
    "lr_scheduler_type": ("cosine", "linear", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt"),
    "optim": ("adamw_torch", "adamw_torch_fused", "adafactor"),
}


@dataclass(frozen=True)
class TrainParams:
    num_processes: int
    accelerate_config: str | None
    per_device_train_batch_size: int
    per_device_eval_batch_size: int
    gradient_accumulation_steps: int
    num_train_epochs: float
    learning_rate: float
    weight_decay: float
    lr_scheduler_type: str
    warmup_steps: float
    optim: str
    max_grad_norm: float
    max_length: int
    dropout: float
    bf16: bool
    gradient_checkpointing: bool
    torch_compile: bool
    dataloader_num_workers: int
    ddp_timeout: int
    eval_steps: float | None
    metric_for_best_model: str
    min_recall: float
    early_stopping_patience: int | None
    seed: int

    def __post_init__(self) -> None:
        for key in (
            "num_processes per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps "
            "num_train_epochs learning_rate max_grad_norm ddp_timeout"
        ).split():
            require(getattr(self, key) > 0, f"train.{key}: must be above 0")
        for key in ("eval_steps", "early_stopping_patience"):
            value = getattr(self, key)
            require(value is None or value > 0, f"train.{key}: must be above 0, or null for none")
        require(self.dataloader_num_workers >= 0, "train.dataloader_num_workers: must be 0 or more")
        require(self.weight_decay >= 0, "train.weight_decay: must be 0 or more")
        require(self.warmup_steps >= 0, "train.warmup_steps: must be 0 or more; below 1 it is a share of all steps")
        require(self.max_length >= 8, "train.max_length: must be 8 or more")
        require(0 <= self.dropout < 1, "train.dropout: must be at least 0 and below 1")
        require(0 <= self.min_recall <= 1, "train.min_recall: must be between 0 and 1")
        for key, choices in _TRAIN_CHOICES.items():
            value = getattr(self, key)
            require(value in choices, f"train.{key}: {value!r} is none of {', '.join(choices)}")


@dataclass(frozen=True)
class DecisionParams:
    min_recall: float | None
    min_precision: float | None
    threshold: float | None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        for name, value in given.items():
            require(0 <= value <= 1, f"decision.{name}: must be between 0 and 1")
        require(
            len(given) == 1,
            f"decision: one of {', '.join(vars(self))} is needed and the others null; "
            f"{' and '.join(given) or 'none'} given",
        )


@dataclass(frozen=True)
class EvaluateParams:
    resamples: int
    seed: int

    def __post_init__(self) -> None:
        require(self.resamples >= 100, "evaluate.resamples: must be 100 or more")


@dataclass(frozen=True)
class LLMParams:
    splits: list[str]
    model: str
    base_url: str
    api_key_env: str | None
    temperature: float
    seed: int
    max_calls: int | None
    concurrency: int
    timeout: float
    retries: int
    input_price: float | None
    output_price: float | None

    def __post_init__(self) -> None:
        require(self.splits in ([], ["test"]), f"llm.splits: {self.splits!r} is neither [] nor [test]")
        require(bool(self.model), "llm.model: names no model")
        require(self.base_url.startswith(("http://", "https://")), "llm.base_url: must start with http:// or https://")
        for key in ("concurrency", "timeout", "max_calls"):
            value = getattr(self, key)
            require(value is None or value > 0, f"llm.{key}: must be above 0")
        for key in ("temperature", "retries", "input_price", "output_price"):
            require((getattr(self, key) or 0) >= 0, f"llm.{key}: must be 0 or more")


@dataclass(frozen=True)
class Params:
    data: DataParams
    model: ModelParams
    pairs: PairsParams
    baseline: BaselineParams
    train: TrainParams
    decision: DecisionParams
    evaluate: EvaluateParams
    llm: LLMParams


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check params.yaml.

    Raises:
        UserError: naming the key at fault and what is expected there.
    """
    return read_yaml(path, Params)
