"""What ends a training early, told in one line with its remedy."""

import math

import torch

from fluency.training.params import TrainParams
from fluency.training.plan import Plan
from fluency.utils.errors import UserError

GOES_ON = "started again, it goes on from its last checkpoint"


class LostProcessError(UserError):
    """A process of the group died or hangs; the cause stands elsewhere."""


def stop_if_diverged(loss: float, grad_norm: float, *, step: int) -> None:
    """Stop training that can no longer give a model.

    Raises:
        UserError: the loss or the gradient norm is not finite.
    """
    for name, value in (("loss", loss), ("gradient norm", grad_norm)):
        if not math.isfinite(value):
            raise UserError(
                f"training diverged: {name} is {value} at step {step}; lower train.learning_rate or "
                "train.max_grad_norm, or set train.bf16 to false"
            )


def explained(error: Exception, params: TrainParams, plan: Plan) -> Exception:
    """The UserError that says what to do about `error`; `error` itself where nothing is known."""
    text = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        return UserError(f"out of memory; {_less_memory(params, plan)}")
    if any(sign in text for sign in ("No space left", "os error 28", "inline_container")):  # Python, Rust, torch.save
        return UserError(
            "the disk is full: a checkpoint or the model could not be written; make room (also in .checkpoints/), "
            f"and {GOES_ON}"
        )
    lost = isinstance(error, RuntimeError) and any(
        sign in text.lower() for sign in ("connection", "timed out", "timeout")
    )
    if plan.processes > 1 and lost:
        return LostProcessError(
            f"another training process was lost, or silent for {params.ddp_timeout} s (train.ddp_timeout); {GOES_ON}"
        )
    return error


def _less_memory(params: TrainParams, plan: Plan) -> str:
    remedies, share = [], params.per_device_train_batch_size * params.gradient_accumulation_steps
    if plan.unit == "tokens":
        remedies.append(
            f"set train.per_device_train_batch_tokens={max(plan.batch // 2, 1)} and "
            f"train.gradient_accumulation_steps={params.gradient_accumulation_steps * 2} (which starts anew)"
        )
    elif smaller := [size for size in range(1, plan.batch // 2 + 1) if share % size == 0]:
        remedies.append(
            f"set train.per_device_train_batch_size={smaller[-1]} and "
            f"train.gradient_accumulation_steps={share // smaller[-1]} (a step remains {plan.global_batch} pairs)"
        )
    if not params.gradient_checkpointing:
        remedies.append("set train.gradient_checkpointing=true")
    return f"{' or '.join(remedies) or 'lower encode.max_length'}; {GOES_ON}"
