"""Watching a training run: a progress bar, and the curves and figures that DVC shows, on the first process only."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fluency.training.plan import Plan
from fluency.utils.files import write_json, write_text

_TRAINING = ("step", "epoch", "loss", "learning_rate", "grad_norm")
_VALIDATION = ("step", "epoch", "loss", "precision", "recall", "f1", "accuracy", "average_precision")


class CurveCallback(TrainerCallback):
    """Writes the curves and the latest figures anew at each log, from a history that a resumed run keeps.

    Args:
        folder: gets training.csv and validation.csv, for `dvc plots show`.
        figures: a JSON file of the last row of each, for `dvc exp show`.
    """

    def __init__(self, folder: Path, figures: Path) -> None:
        self.folder = folder
        self.figures = figures

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            training = [entry for entry in state.log_history if "loss" in entry]
            validation = [
                {name.removeprefix("eval_"): value for name, value in entry.items()}
                for entry in state.log_history
                if "eval_loss" in entry
            ]
            self._write("training.csv", _TRAINING, training)
            self._write("validation.csv", _VALIDATION, validation)
            latest = {"training": _rounded(_TRAINING, training), "validation": _rounded(_VALIDATION, validation)}
            write_json(self.figures, {name: row for name, row in latest.items() if row})

    def _write(self, name: str, columns: tuple[str, ...], rows: list[dict[str, float]]) -> None:
        lines = [",".join(f"{row[column]:.6g}" for column in columns) for row in rows]
        write_text(self.folder / name, "\n".join([",".join(columns), *lines]) + "\n")


def _rounded(columns: tuple[str, ...], rows: list[dict[str, float]]) -> dict[str, float]:
    """The last row as the curves have it; empty where there is none yet."""
    return {column: float(f"{row[column]:.6g}") for row in rows[-1:] for column in columns}


class PlanInTracker(TrainerCallback):
    """Adds the plan to the W&B run's configuration, where there is one, and ends the run with the training."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero and "wandb" in args.report_to:
            import wandb

            wandb.run.config.update({"plan": str(self.plan)})

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero and "wandb" in args.report_to:
            import wandb

            wandb.finish()


class ProgressBar(ProgressCallback):
    """The Trainer's bar with loss and validation precision at its end, instead of a printed line for each log."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        self.shown: dict[str, str] = {}
        if self.training_bar is not None and not sys.stderr.isatty():
            self.training_bar.mininterval = 10  # seconds; a log needs fewer lines than a terminal

    def on_prediction_step(self, *args: Any, **kwargs: Any) -> None:
        """Evaluation is short; a bar of its own would only flicker."""

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
            self.training_bar.set_postfix(self.shown, refresh=sys.stderr.isatty())


def wandb_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment has W&B configured: a mode that is on and, unless offline, a key."""
    mode = environment.get("WANDB_MODE", "online")
    return mode == "offline" or (mode != "disabled" and bool(environment.get("WANDB_API_KEY")))
