"""Fine-tuning with the reference recipe: arguments, loss, checkpoint choice, resume."""

import os
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Subset
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    ProgressCallback,
    Trainer,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import EvalLoopOutput
from transformers.utils.logging import disable_progress_bar

from fluency.metrics import average_precision, negative_log_likelihood, point_metrics, probabilities
from fluency.model.device import use_cores
from fluency.model.encoded_pairs import EncodedPairs
from fluency.model.encoding import COMPILED_LENGTHS
from fluency.training.callbacks import CurveCallback, PlanInTracker, ProgressBar, wandb_wanted
from fluency.training.checkpoints import checkpoint_to_resume
from fluency.training.failures import explained, stop_if_diverged
from fluency.training.inputs import Inputs
from fluency.training.new_model import Save, cross_encoder, edit_head
from fluency.training.params import TrainParams
from fluency.training.plan import Plan
from fluency.training.sampler import GlobalBatchSampler
from fluency.utils.files import written_aside


class _Loader(DataLoader):
    """A loader whose batches know the epoch."""

    batch_sampler: GlobalBatchSampler

    def set_epoch(self, epoch: int) -> None:
        self.batch_sampler.set_epoch(epoch)


class _Trainer(Trainer):
    """Trainer with our order of rows, which does not depend on the number of processes."""

    train_dataset: EncodedPairs

    def get_train_dataloader(self) -> _Loader:
        """This process's batches.

        accelerate would share a loader out among processes by wrapping its batches; those of a run that goes on within
        an epoch are wrapped once more, and the Trainer's `set_epoch` would not reach them.
        """
        args = self.args
        batches = GlobalBatchSampler(
            self.train_dataset.lengths(),
            self.train_dataset.edits,
            batch=args.train_batch_size,
            global_batch=args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
            seed=args.seed,
            process=args.process_index,
            processes=args.world_size,
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
        output = super().evaluation_loop(*args, **kwargs)
        # Trainer's own is a mean over batches that counts the rows which fill up the last one
        output.metrics["eval_loss"] = output.metrics.pop("eval_cross_entropy")
        return output


def mean_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None) -> torch.Tensor:
    """Cross-entropy over the whole global batch.

    Summed here and divided by the rows of all processes and accumulation steps, so that neither their number nor an
    uneven share changes the gradient. (The model's own loss is a mean that Trainer takes for a sum.)
    """
    loss = cross_entropy(outputs["logits"].float(), labels, reduction="sum")
    return loss / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def selection_metrics(prediction: EvalPrediction, *, metric: str, min_recall: float) -> dict[str, float]:
    """The reference's metrics and `selection`, by which the best checkpoint is chosen.

    `selection` is the wanted metric where recall reaches the floor; below, it is negative and grows with recall, so
    that a lucky single positive never wins.
    """
    logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    scores = probabilities(logits)
    figures = point_metrics(scores > 0.5, labels) | {
        "average_precision": average_precision(scores, labels),
        "cross_entropy": negative_log_likelihood(scores, labels),
    }
    enough = figures["recall"] >= min_recall
    return figures | {"selection": figures[metric] if enough else figures["recall"] - 1}


def training_arguments(params: TrainParams, plan: Plan, checkpoints: Path) -> TrainingArguments:
    """The recipe as `transformers.TrainingArguments`; names not mentioned here are the params' own."""
    own = (
        "num_processes", "accelerate_config", "dropout", "gradient_checkpointing",
        "metric_for_best_model", "min_recall", "early_stopping_patience",
    )  # fmt: skip
    recipe = {name: value for name, value in asdict(params).items() if name not in own}
    interval = "epoch" if params.eval_steps is None else "steps"
    return TrainingArguments(
        output_dir=str(checkpoints),
        **recipe
        | {
            "per_device_train_batch_size": plan.batch,
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
    use_cores()
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


def compile_each_length() -> None:
    """Have torch.compile make a graph of each shape; by itself it would make the second one for any length."""
    torch._dynamo.config.automatic_dynamic_shapes = False
    torch._dynamo.config.recompile_limit = 4 * len(COMPILED_LENGTHS)  # in training and evaluation, and its last batch


def trainer_of(
    params: TrainParams, plan: Plan, inputs: Inputs, curves: CurveCallback, checkpoints: Path
) -> tuple[_Trainer, Save]:
    """The trainer, and what writes its model into a folder."""
    arguments = training_arguments(params, plan, checkpoints)
    if plan.processes == 1:
        arguments._n_gpu = min(arguments.n_gpu, 1)  # else the Trainer would spread each batch over all GPUs it sees
    if params.torch_compile:
        compile_each_length()
    set_seed(params.seed)
    train_pairs, validation_pairs = (EncodedPairs(inputs.encoded / split) for split in ("train", "validation"))
    build = edit_head if inputs.is_edit_head else cross_encoder
    model, collator, save = build(params, inputs, train_pairs)
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
    )
    if trainer.pop_callback(ProgressCallback):
        trainer.add_callback(ProgressBar)
    return trainer, save
