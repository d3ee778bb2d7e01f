"""The blocks `train` and `edit_head` of params.yaml: hyperparameters, by their names in `TrainingArguments`."""

from dataclasses import asdict, dataclass, replace

from fluency.utils.config import require

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
    per_device_train_batch_tokens: int | None
    per_device_eval_batch_size: int
    gradient_accumulation_steps: int
    num_train_epochs: float
    learning_rate: float
    weight_decay: float
    lr_scheduler_type: str
    warmup_steps: float
    optim: str
    max_grad_norm: float
    dropout: float
    bf16: bool
    gradient_checkpointing: bool
    cuda_graphs: bool
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
        for key in ("per_device_train_batch_tokens", "eval_steps", "early_stopping_patience"):
            value = getattr(self, key)
            require(value is None or value > 0, f"train.{key}: must be above 0, or null for none")
        require(self.dataloader_num_workers >= 0, "train.dataloader_num_workers: must be 0 or more")
        require(self.weight_decay >= 0, "train.weight_decay: must be 0 or more")
        require(self.warmup_steps >= 0, "train.warmup_steps: must be 0 or more; below 1 it is a share of all steps")
        require(0 <= self.dropout < 1, "train.dropout: must be at least 0 and below 1")
        require(0 <= self.min_recall <= 1, "train.min_recall: must be between 0 and 1")
        for key, choices in _TRAIN_CHOICES.items():
            value = getattr(self, key)
            require(value in choices, f"train.{key}: {value!r} is none of {', '.join(choices)}")


@dataclass(frozen=True)
class EditHeadParams:
    hidden_size: int
    dropout: float
    state_dropout: float
    per_device_train_batch_size: int
    num_train_epochs: float
    learning_rate: float
    weight_decay: float
    metric_for_best_model: str

    def __post_init__(self) -> None:
        for key in ("hidden_size", "per_device_train_batch_size", "num_train_epochs", "learning_rate"):
            require(getattr(self, key) > 0, f"edit_head.{key}: must be above 0")
        for key in ("dropout", "state_dropout"):
            require(0 <= getattr(self, key) < 1, f"edit_head.{key}: must be at least 0 and below 1")
        require(self.weight_decay >= 0, "edit_head.weight_decay: must be 0 or more")
        metrics = _TRAIN_CHOICES["metric_for_best_model"]
        require(
            self.metric_for_best_model in metrics,
            f"edit_head.metric_for_best_model: {self.metric_for_best_model!r} is none of {', '.join(metrics)}",
        )

    def recipe(self, train: TrainParams) -> TrainParams:
        """The recipe of `train` with what the head has of its own, in float32: the head is too small for less."""
        own = {name: value for name, value in asdict(self).items() if hasattr(train, name)}
        batch = self.per_device_train_batch_size  # enough memory for this is enough for evaluation
        return replace(train, **own, per_device_train_batch_tokens=None, per_device_eval_batch_size=batch, bf16=False)
