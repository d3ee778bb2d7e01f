"""Watching a training run: a progress bar and the curves that DVC plots, both on the first process only."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fluency.errors import UserError
from fluency.files import write_text

_TRAINING = ("step", "epoch", "loss", "learning_rate", "grad_norm")
_VALIDATION = ("step", "epoch", "loss", "precision", "recall", "f1", "accuracy", "average_precision")


class CurveCallback(TrainerCallback):
    """Writes training.csv and validation.csv anew at each log, from a history that a resumed run keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            training = [entry for entry in state.log_history if "loss" in entry]
            validation = [
                {name.removeprefix("eval_"): value for name, value in entry.items()}
                for entry in state.log_history
                if "eval_loss" in entry
            ]
            stop_if_diverged(training)
            self._write("training.csv", _TRAINING, training)
            self._write("validation.csv", _VALIDATION, validation)

    def _write(self, name: str, columns: tuple[str, ...], rows: list[dict[str, float]]) -> None:
        lines = [",".join(f"{row[column]:.6g}" for column in columns) for row in rows]
        write_text(self.folder / name, "\n".join([",".join(columns), *lines]) + "\n")


def stop_if_diverged(history: Sequence[Mapping[str, float]]) -> None:
    """Stop training that can no longer give a model.

    Raises:
        UserError: the last logged loss or gradient norm is not finite.
    """
    for name in ("loss", "grad_norm"):
        if history and not math.isfinite(value := history[-1].get(name, 0.0)):
            raise UserError(
                f"training diverged: {name} is {value} at step {history[-1]['step']:.0f}; lower train.learning_rate "
                "or train.max_grad_norm, or set train.bf16 to false"
            )


class ProgressBar(ProgressCallback):
    """The Trainer's bar with loss and validation precision at its end, instead of a printed line for each log."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        self.shown: dict[str, str] = {}

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict | None = None,
        **_: Any,
    ) -> None:
        if state.is_world_process_zero and self.training_bar is not None:
            for name in ("loss", "eval_precision", "eval_recall"):
                if name in (logs or {}):
                    self.shown[name.removeprefix("eval_")] = f"{logs[name]:.3f}"
            self.training_bar.set_postfix(self.shown)
