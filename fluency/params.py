"""params.yaml as frozen dataclasses: unknown keys, missing keys and wrong types are named, never guessed."""

import dataclasses
import math
import re
import typing
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

import yaml

from fluency.errors import UserError


class _Loader(yaml.SafeLoader):
    """PyYAML with YAML 1.2's floats: `3e-5` is a number, as it is to DVC, not YAML 1.1's string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+0123456789."),
)


@dataclass(frozen=True)
class DataParams:
    source: str | list[str]
    format: str | None
    tasks: list[str]

    def __post_init__(self) -> None:
        _require(bool(self.source), "data.source: names no source")
        for source in self.sources:
            _require(self.sources.count(source) == 1, f"data.source: names {source!r} twice")
        known = ("reference", "parallel", "jfleg", "m2", "labelled")
        _require(self.format in (None, *known), f"data.format: {self.format!r} is none of {', '.join(known)}")

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
        _require(
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
        _require(self.per_sentence >= 0, "pairs.augment.per_sentence: must be 0 or more")
        _require(
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
        _require(self.leakage in choices, f"pairs.leakage: {self.leakage!r} is none of {', '.join(choices)}")
        for key in ("max_train_samples", "max_eval_samples", "max_predict_samples"):
            limit = getattr(self, key)
            _require(limit is None or limit > 0, f"pairs.{key}: must be above 0, or null for no limit")


@dataclass(frozen=True)
class BaselineParams:
    C: float
    max_iter: int

    def __post_init__(self) -> None:
        _require(self.C > 0, "baseline.C: must be above 0")
        _require(self.max_iter > 0, "baseline.max_iter: must be above 0")


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
            _require(getattr(self, key) > 0, f"train.{key}: must be above 0")
        for key in ("eval_steps", "early_stopping_patience"):
            value = getattr(self, key)
            _require(value is None or value > 0, f"train.{key}: must be above 0, or null for none")
        _require(self.dataloader_num_workers >= 0, "train.dataloader_num_workers: must be 0 or more")
        _require(self.weight_decay >= 0, "train.weight_decay: must be 0 or more")
        _require(self.warmup_steps >= 0, "train.warmup_steps: must be 0 or more; below 1 it is a share of all steps")
        _require(self.max_length >= 8, "train.max_length: must be 8 or more")
        _require(0 <= self.dropout < 1, "train.dropout: must be at least 0 and below 1")
        _require(0 <= self.min_recall <= 1, "train.min_recall: must be between 0 and 1")
        for key, choices in _TRAIN_CHOICES.items():
            value = getattr(self, key)
            _require(value in choices, f"train.{key}: {value!r} is none of {', '.join(choices)}")


@dataclass(frozen=True)
class DecisionParams:
    min_recall: float | None
    min_precision: float | None
    threshold: float | None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        for name, value in given.items():
            _require(0 <= value <= 1, f"decision.{name}: must be between 0 and 1")
        _require(
            len(given) == 1,
            f"decision: one of {', '.join(vars(self))} is needed and the others null; "
            f"{' and '.join(given) or 'none'} given",
        )


@dataclass(frozen=True)
class EvaluateParams:
    resamples: int
    seed: int

    def __post_init__(self) -> None:
        _require(self.resamples >= 100, "evaluate.resamples: must be 100 or more")


@dataclass(frozen=True)
class LLMParams:
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
        _require(bool(self.model), "llm.model: names no model")
        _require(self.base_url.startswith(("http://", "https://")), "llm.base_url: must start with http:// or https://")
        for key in ("concurrency", "timeout", "max_calls"):
            value = getattr(self, key)
            _require(value is None or value > 0, f"llm.{key}: must be above 0")
        for key in ("temperature", "retries", "input_price", "output_price"):
            _require((getattr(self, key) or 0) >= 0, f"llm.{key}: must be 0 or more")


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
    try:
        tree = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
        return _build(Params, tree, "")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the repository's root") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UserError(message)


def _build(cls: type, tree: Any, prefix: str) -> Any:
    """Make the dataclass `cls` from the mapping `tree` found at `prefix` ('' or 'train.')."""
    _require(isinstance(tree, dict), f"{prefix.rstrip('.') or 'the file'}: expected a mapping, found {tree!r}")
    types = typing.get_type_hints(cls)
    unknown = [str(key) for key in tree if key not in types]
    _require(not unknown, f"{prefix}{', '.join(unknown)}: unknown key; known here: {', '.join(types)}")
    missing = [key for key in types if key not in tree]
    _require(not missing, f"{prefix}{', '.join(missing)}: missing key; it is needed")
    return cls(**{key: _convert(kind, tree[key], prefix + key) for key, kind in types.items()})


def _convert(kind: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, key + ".")
    if typing.get_origin(kind) is UnionType:
        options = typing.get_args(kind)
        if value is None and NoneType in options:
            return None
        lists = isinstance(value, list)
        chosen = [option for option in options if (typing.get_origin(option) is list) == lists]
        return _convert((chosen or options)[0], value, key)
    if typing.get_origin(kind) is list:
        _require(isinstance(value, list), f"{key}: expected a list, found {value!r}")
        return [_convert(typing.get_args(kind)[0], item, key) for item in value]
    if typing.get_origin(kind) is dict:
        _require(isinstance(value, dict), f"{key}: expected a mapping, found {value!r}")
        return {str(name): _convert(typing.get_args(kind)[1], item, f"{key}.{name}") for name, item in value.items()}
    if kind is float and type(value) is int:
        value = float(value)
    _require(type(value) is kind, f"{key}: expected {kind.__name__}, found {value!r}")
    _require(kind is not float or math.isfinite(value), f"{key}: expected a finite number, found {value!r}")
    return value
