"""Fine-tuning with the reference recipe: the Trainer, its arguments, and going on after a cut."""

import os
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from transformers import (
    EarlyStoppingCallback,
    ProgressCallback,
    Trainer,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import EvalLoopOutput
from transformers.utils.logging import disable_progress_bar

from fluency.model.device import use_machine
from fluency.model.encoded_pairs import EncodedPairs
from fluency.training.callbacks import CurveCallback, PlanInTracker, ProgressBar, wandb_wanted
from fluency.training.checkpoints import checkpoint_to_resume
from fluency.training.failures import explained, stop_if_diverged
from fluency.training.gpu_steps import StepGraphs, compile_layers
from fluency.training.inputs import Inputs
from fluency.training.new_model import Save, cross_encoder, edit_head
from fluency.training.objective import mean_loss, selection_metrics
from fluency.training.params import TrainParams
from fluency.training.plan import Plan
from fluency.training.sampler import GlobalBatchSampler, TokenBatchSampler
from fluency.utils.files import written_aside


class _Loader(DataLoader):
    """A loader whose batches know the epoch."""

    batch_sampler: GlobalBatchSampler | TokenBatchSampler

    def set_epoch(self, epoch: int) -> None:
        self.batch_sampler.set_epoch(epoch)


class _Trainer(Trainer):
    """Trainer with our order of rows, which does not depend on the number of processes."""

    train_dataset: EncodedPairs

    def __init__(self, *args: Any, plan: Plan, max_length: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.plan, self.max_length = plan, max_length
        self.graphs: StepGraphs | None = None  # of the model, once it is on its device

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: int | None = None
    ) -> torch.Tensor:
        step = super().training_step
        if not self.plan.cuda_graphs:
            return step(model, inputs, num_items_in_batch)
        if self.graphs is None:
            self.graphs = StepGraphs(lambda batch: step(model, batch, self._rows_of_step(batch)), model.parameters())
        return self.graphs(inputs)

    def _prepare_inputs(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The batch on its device; Trainer's own way waits until a GPU has done all before."""
        return {name: tensor.to(self.args.device, non_blocking=True) for name, tensor in inputs.items()}

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, torch.Tensor]], *_: Any) -> int:
        """The rows of an optimiser step. Trainer's own way asks all processes, and waits for the GPU."""
        return self._rows_of_step(batch_samples[0])

    def _rows_of_step(self, batch: dict[str, torch.Tensor]) -> int:
        """All batches of a step have as many, because the last step is filled up."""
        return len(batch["labels"]) * self.plan.accumulation * self.plan.processes

    def get_train_dataloader(self) -> _Loader:
        """This process's batches.

        accelerate would share a loader out among processes by wrapping its batches; those of a run that goes on within
        an epoch are wrapped once more, and the Trainer's `set_epoch` would not reach them.
        """
        args, plan = self.args, self.plan
        if plan.unit == "tokens":
            sampler = partial(TokenBatchSampler, tokens=plan.batch, max_length=self.max_length)
        else:
            sampler = partial(GlobalBatchSampler, batch=plan.batch)
        batches = sampler(
            self.train_dataset.lengths(),
            self.train_dataset.edits,
            batches=plan.accumulation * plan.processes,
            seed=args.seed,
            process=args.process_index,
            processes=plan.processes,
        )
        return _Loader(
            self.train_dataset,
            batch_sampler=batches,
            collate_fn=self.data_collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
        )

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: it would look at every weight in each batch, for a figure that nobody reads."""
        return 0

    def _maybe_log_save_evaluate(self, tr_loss: torch.Tensor, grad_norm: Any, *args: Any, **kwargs: Any) -> None:
        if self.control.should_log or self.control.should_evaluate or self.control.should_save:
            # before a checkpoint is written; elsewhere a GPU would have to be waited for
            stop_if_diverged(float(tr_loss), float(grad_norm or 0.0), step=self.state.global_step)
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, *args, **kwargs)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        # what makes a checkpoint whole is written next, by the first process
        self.accelerator.wait_for_everyone()

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        with torch.compiler.set_stance("force_eager"):  # compiling for it would take longer than it takes
            output = super().evaluation_loop(*args, **kwargs)
        # Trainer's own is a mean over batches that counts the rows which fill up the last one
        output.metrics["eval_loss"] = output.metrics.pop("eval_cross_entropy")
        return output


def training_arguments(params: TrainParams, plan: Plan, checkpoints: Path) -> TrainingArguments:
    """The recipe as `transformers.TrainingArguments`; names not mentioned here are the params' own."""
    own = (
        "num_processes", "accelerate_config", "per_device_train_batch_tokens", "dropout", "gradient_checkpointing",
        "metric_for_best_model", "min_recall", "early_stopping_patience", "cuda_graphs", "torch_compile",
    )  # fmt: skip
    recipe = {name: value for name, value in asdict(params).items() if name not in own}
    interval = "epoch" if params.eval_steps is None else "steps"
    return TrainingArguments(
        output_dir=str(checkpoints),
        **recipe
        | {
            "per_device_train_batch_size": plan.batch if plan.unit == "pairs" else params.per_device_train_batch_size,
            "gradient_accumulation_steps": plan.accumulation,
            "bf16": plan.bf16,
        },
        activation_checkpointing=params.gradient_checkpointing,  # its new name
        use_cpu=plan.device == "cpu",
        dataloader_pin_memory=plan.device == "cuda",
        remove_unused_columns=False,
        label_names=["labels"],
        eval_strategy=interval,
        save_strategy=interval,
        save_steps=params.eval_steps or 0,
        save_total_limit=1 if plan.machines == 1 else 2,  # a machine may be a checkpoint behind the others
        save_on_each_node=plan.machines > 1 and not plan.sharded,
        restore_callback_states_from_checkpoint=params.early_stopping_patience is not None,
        load_best_model_at_end=True,
        metric_for_best_model="selection",
        greater_is_better=True,
        log_level_replica="error",  # the stage has set the first process's
        disable_tqdm=False,  # at that level the bar would turn into printed lines
        logging_steps=0.02,
        logging_nan_inf_filter=False,  # a loss that is not finite has to be seen
        report_to="wandb" if wandb_wanted(os.environ) else "none",
        run_name=os.environ.get("DVC_EXP_NAME"),
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,  # none ever changes
    )


def train(
    params: TrainParams,
    plan: Plan,
    inputs: Inputs,
    *,
    model_folder: Path,
    curves: Path,
    figures: Path,
    checkpoints: Path,
) -> None:
    """Train a classifier and write the best checkpoint to `model_folder`; run by each process of the plan.

    Args:
        params: as `Inputs.recipe` gives them.
        curves: folder for training.csv and validation.csv, rewritten as training goes.
        figures: JSON file of their last rows, rewritten with them.
        checkpoints: folder of this experiment's checkpoints; training goes on from the last whole one.

    Raises:
        UserError: training diverged, memory or disk ran out, or another process was lost.
    """
    disable_progress_bar()  # transformers' own, of loading and writing weights
    use_machine()
    os.environ.setdefault("WANDB_PROJECT", "fluency-scorer-eval")
    try:
        if plan.device == "cpu" and plan.processes > 1:  # accelerate would start it without the time limit
            torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=params.ddp_timeout))
        trainer, save = trainer_of(params, plan, inputs, CurveCallback(curves, figures), checkpoints)
        _train_or_go_on(trainer, checkpoint_to_resume(checkpoints))
        # where the model is sharded, its weights come from all processes
        weights = trainer.accelerator.get_state_dict(trainer.model_wrapped) if plan.sharded else None
        if trainer.is_world_process_zero():
            with written_aside(model_folder) as aside:
                save(trainer.accelerator.unwrap_model(trainer.model), aside, weights)
        trainer.accelerator.wait_for_everyone()
        # A group of CPU processes is left to their end: destroyed right after a barrier, it may wait for ever, for a
        # thread of its own that waits for Python's lock to free what the barrier used.
        if plan.device == "cuda":
            trainer.accelerator.end_training()
    except Exception as error:
        raise explained(error, params, plan) from error


def _train_or_go_on(trainer: Trainer, checkpoint: Path | None) -> None:
    """Train to the end, from `checkpoint` where there is one."""
    if checkpoint is not None:
        state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        patience = state.stateful_callbacks.get("EarlyStoppingCallback")
        if patience and state.stateful_callbacks["TrainerControl"]["args"]["should_training_stop"]:
            trainer.state = state  # it had ended; the Trainer would take one step more
            trainer._load_best_model()
            trainer.log({})
            return
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))


def trainer_of(
    params: TrainParams, plan: Plan, inputs: Inputs, curves: CurveCallback, checkpoints: Path
) -> tuple[_Trainer, Save]:
    """The trainer, and what writes its model into a folder."""
    arguments = training_arguments(params, plan, checkpoints)
    if plan.processes == 1:
        arguments._n_gpu = min(arguments.n_gpu, 1)  # else the Trainer would spread each batch over all GPUs it sees
    set_seed(params.seed)
    train_pairs, validation_pairs = (EncodedPairs(inputs.encoded / split) for split in ("train", "validation"))
    build = edit_head if inputs.is_edit_head else cross_encoder
    few_lengths = plan.cuda_graphs or params.torch_compile
    model, collator, save = build(params, inputs, train_pairs, few_lengths=few_lengths)
    if params.torch_compile:
        compile_layers(model)
    callbacks = [curves, PlanInTracker(plan)]
    if params.early_stopping_patience is not None:
        callbacks.append(EarlyStoppingCallback(params.early_stopping_patience))
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=train_pairs,
        # in batches of like length; metrics do not ask for the order
        eval_dataset=Subset(validation_pairs, np.argsort(validation_pairs.lengths(), kind="stable").tolist()),
        data_collator=collator,
        compute_metrics=partial(selection_metrics, metric=params.metric_for_best_model, min_recall=params.min_recall),
        compute_loss_func=mean_loss,
        callbacks=callbacks,
        plan=plan,
        max_length=inputs.encode.max_length,
    )
    if trainer.pop_callback(ProgressCallback):
        trainer.add_callback(ProgressBar)
    return trainer, save
