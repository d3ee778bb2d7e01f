"""A reward made into another: awaited beside others, a gate for others, or without a lean to short or long."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fluency.scorer.completion import Completion
from fluency.scorer.inputs import values_of
from fluency.scorer.reward import FluencyReward

Rewards = list[float | None]


def awaited(reward: Callable[..., Rewards]) -> Callable[..., Any]:
    """The reward as an `async` function, computed in a thread: TRL awaits several such rewards at once."""

    async def compute(prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any) -> Rewards:
        return await asyncio.to_thread(reward, prompts, completions, **columns)

    return _named(compute, reward.__name__)


def gated(reward: FluencyReward, *others: Callable[..., Rewards]) -> Callable[..., Rewards]:
    """The reward, and on top of it what the others give, but only where it accepts the completion.

    It accepts an edit within support that reaches the operating point, and no copy, whatever either earns. An other's
    None counts nothing.

    Raises:
        TypeError: `reward` is none, or an other is `async`: what it gives comes too late for the sum.
    """
    _check(reward)
    for other in others:
        if inspect.iscoroutinefunction(other) or inspect.iscoroutinefunction(type(other).__call__):
            name = getattr(other, "__name__", other)
            raise TypeError(f"gated: {name} is async; give gated plain functions, and make what it gives awaited")

    def compute(prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any) -> Rewards:
        earned, accepted = reward.judged(prompts, completions, **columns)
        added = [other(prompts=prompts, completions=completions, **columns) for other in others]
        return [
            value + float(sum(its or 0.0 for its in theirs)) if opened else value
            for value, opened, *theirs in zip(earned, accepted, *added, strict=True)
        ]

    return _named(compute, f"gated_{reward.__name__}")


def length_neutral(reward: FluencyReward) -> Callable[..., Rewards]:
    """The reward without what goes with length: among accepted edits, longer ones earn no more and no less.

    Of the edits that a batch's reward accepts, the least-squares line of their rewards in the characters that each has
    more than what it replaces is taken off, but for its mean. Where one would then earn more than 1, or less than the
    operating point, all are drawn towards the mean until none does. What is not accepted keeps what it earned, so
    that nonsense gains nothing by its length; so do copies.

    Raises:
        TypeError: `reward` is none.
    """
    _check(reward)

    def compute(prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any) -> Rewards:
        earned, accepted = reward.judged(prompts, completions, **columns)
        written, replaced = values_of(completions), values_of(columns[reward.part or reward.before])
        rows = np.flatnonzero(accepted).tolist()
        longer = np.array([len(reward.completion_text(written[row]) or "") - len(replaced[row]) for row in rows])
        values = np.array([earned[row] for row in rows])
        straight = _straightened(values, longer, least=reward.scorer.calibration.threshold) if rows else values
        new = dict(zip(rows, straight.tolist(), strict=True))
        return [new.get(row, value) for row, value in enumerate(earned)]

    return _named(compute, f"length_neutral_{reward.__name__}")


def _straightened(values: np.ndarray, longer: np.ndarray, *, least: float) -> np.ndarray:
    """Values from `least` to 1, of shape [edits], without their line in `longer`, and still within these bounds."""
    mean, longer = values.mean(), longer - longer.mean()
    slope = longer @ values / max(longer @ longer, 1)  # whole characters: below 1, all are as long
    rest = values - mean - slope * longer
    room = np.where(rest < 0, mean - least, 1 - mean)
    drawn = min(1.0, float((room / np.maximum(np.abs(rest), 1e-12)).min()))
    return np.clip(mean + drawn * rest, least, 1.0)  # which the last digit may leave


def _check(reward: Any) -> None:
    if not isinstance(reward, FluencyReward):
        raise TypeError(f"reward: expected a FluencyReward, found {reward!r}; shape that, and the result not again")


def _named(compute: Callable[..., Any], name: str) -> Callable[..., Any]:
    compute.__name__ = name
    return compute
