"""Fine-tuning under accelerate with the reference recipe: arguments, loss, checkpoint choice, resume."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProgressCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import EvalLoopOutput
from transformers.utils.logging import disable_progress_bar

from fluency.curves import CurveCallback, ProgressBar
from fluency.encoding import Encoded, collate, encode, load_tokenizer
from fluency.files import sha256, written_aside
from fluency.hardware import Device, device_at_hand, die_with_launcher, leave_lonely_group
from fluency.metrics import average_precision, negative_log_likelihood, point_metrics, probabilities
from fluency.params import TrainParams
from fluency.sampling import GlobalBatchSampler

Pairs = Sequence[Mapping[str, Any]]
LABELS = {0: "non-fluent", 1: "fluent"}


class _Trainer(Trainer):
    """Trainer with our order of rows, which does not depend on the number of processes."""

    def __init__(self, *, train_pairs: Pairs, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.edits = [frozenset((pair["before"], pair["after"])) for pair in train_pairs]

    def _get_train_sampler(self, train_dataset: Any = None) -> GlobalBatchSampler:
        args = self.args
        return GlobalBatchSampler(
            [len(item["input_ids"]) for item in self.train_dataset],
            self.edits,
            global_batch=args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
            seed=args.seed,
        )

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


def training_arguments(params: TrainParams, device: Device, checkpoints: Path) -> TrainingArguments:
    """The recipe as `transformers.TrainingArguments`; names not mentioned here are the params' own."""
    own = ("num_processes", "max_length", "dropout", "bf16", "metric_for_best_model", "min_recall")
    recipe = {name: value for name, value in asdict(params).items() if name not in own}
    return TrainingArguments(
        output_dir=str(checkpoints),
        **recipe,
        bf16=device.bf16,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type == "cuda",
        remove_unused_columns=False,
        label_names=["labels"],
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="selection",
        greater_is_better=True,
        logging_steps=0.02,
        logging_nan_inf_filter=False,  # a loss that is not finite has to be seen
        report_to="wandb" if wandb_wanted(os.environ) else "none",
        run_name=os.environ.get("DVC_EXP_NAME"),
        ddp_find_unused_parameters=False,
    )


def wandb_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment has W&B configured: a mode that is on and, unless offline, a key."""
    mode = environment.get("WANDB_MODE", "online")
    return mode == "offline" or (mode != "disabled" and bool(environment.get("WANDB_API_KEY")))


def train(
    params: TrainParams,
    train_pairs: Pairs,
    validation_pairs: Pairs,
    *,
    base: Path,
    model_folder: Path,
    curves: Path,
    checkpoint_root: Path,
) -> None:
    """Fine-tune the model in `base` and write the best checkpoint to `model_folder`.

    Args:
        train_pairs, validation_pairs: rows with `before`, `after` and `label`.
        curves: folder for training.csv and validation.csv, rewritten as training goes.
        checkpoint_root: where checkpoints stand until training has succeeded; a run of the same params, data, code
            and processes that was cut off goes on from them.
    """
    die_with_launcher(os.environ)
    disable_progress_bar()  # transformers' own, of loading and writing weights
    device = device_at_hand(bf16_wanted=params.bf16)
    if device.type == "cpu":
        leave_lonely_group(os.environ)
    os.environ.setdefault("WANDB_PROJECT", "fluency-scorer-eval")
    checkpoints = checkpoint_root / experiment_digest(params, train_pairs, validation_pairs, base, device)
    arguments = training_arguments(params, device, checkpoints)
    if arguments.process_index == 0:
        print(f"training on {device}; {arguments.per_device_train_batch_size} pairs x "
              f"{arguments.gradient_accumulation_steps} accumulation step(s) a process")  # fmt: skip
    set_seed(params.seed)
    tokenizer = load_tokenizer(base)
    trainer = _Trainer(
        train_pairs=train_pairs,
        model=new_classifier(base, tokenizer, params.dropout),
        args=arguments,
        train_dataset=_dataset(tokenizer, train_pairs, params.max_length),
        eval_dataset=_dataset(tokenizer, validation_pairs, params.max_length),
        data_collator=partial(collate, pad_token_id=tokenizer.pad_token_id),
        compute_metrics=partial(selection_metrics, metric=params.metric_for_best_model, min_recall=params.min_recall),
        compute_loss_func=mean_loss,
        callbacks=[CurveCallback(curves)],
    )
    if trainer.pop_callback(ProgressCallback):
        trainer.add_callback(ProgressBar)
    trainer.train(resume_from_checkpoint=last_whole_checkpoint(checkpoints))
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        with written_aside(model_folder) as aside:
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(aside)
            tokenizer.save_pretrained(aside)
        shutil.rmtree(checkpoints)


def last_whole_checkpoint(folder: Path) -> str | None:
    """The latest checkpoint that was written to its end: the Trainer writes its own state last.

    Others are removed; they would confuse the Trainer when it comes to their step again.
    """
    whole = []
    for path in folder.glob("checkpoint-*"):
        if (path / "trainer_state.json").is_file():
            whole.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def new_classifier(base: Path, tokenizer: PreTrainedTokenizerBase, dropout: float) -> PreTrainedModel:
    """A two-label classifier on the encoder in `base`, in float32, with every dropout set to `dropout`."""
    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    config.id2label, config.label2id = LABELS, {name: label for label, name in LABELS.items()}
    config.problem_type = "single_label_classification"
    config.pad_token_id = tokenizer.pad_token_id
    for name in vars(config):
        if "dropout" in name and isinstance(getattr(config, name), float | int):
            setattr(config, name, dropout)
    return AutoModelForSequenceClassification.from_pretrained(
        base, config=config, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )


def _dataset(tokenizer: PreTrainedTokenizerBase, pairs: Pairs, max_length: int) -> list[Encoded]:
    encoded = encode(
        tokenizer,
        [pair["before"] for pair in pairs],
        [pair["after"] for pair in pairs],
        max_length=max_length,
    )
    return [item | {"labels": pair["label"]} for item, pair in zip(encoded, pairs, strict=True)]


def experiment_digest(
    params: TrainParams,
    train_pairs: Pairs,
    validation_pairs: Pairs,
    base: Path,
    device: Device,
) -> str:
    """A name that two runs share only if one may go on from the other's checkpoints."""
    code = [sha256(path) for path in sorted(Path(__file__).parent.glob("*.py"))]
    weights = [sha256(path) for path in sorted(base.iterdir()) if path.is_file()]
    everything = (asdict(params), code, weights, device.type, device.bf16, device.processes)
    digest = hashlib.sha256(repr(everything).encode())
    for pairs in (train_pairs, validation_pairs):
        for pair in pairs:
            digest.update(repr((pair["before"], pair["after"], pair["label"])).encode())
    return digest.hexdigest()[:16]
