"""A reward made into another: awaited beside others, a gate for others, or without a lean to short or long."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fluency.scorer.completion import Completion
from fluency.scorer.reward import FluencyReward

Rewards = list[float | None]


def awaited(reward: Callable[..., Rewards]) -> Callable[..., Any]:
    """The reward as an `async` function, computed in a thread: TRL awaits several such rewards at once."""

    async def compute(prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any) -> Rewards:
        return await asyncio.to_thread(reward, prompts, completions, **columns)

    return _named(compute, reward.__name__)


def gated(reward: FluencyReward, *others: Callable[..., Rewards]) -> Callable[..., Rewards]:
    """The reward, and on top of it what the others give, but only where it accepts the completion.

    It accepts what earns the operating point or more. With the reward's `copied` below that, copies open no gate. An
    other's None counts nothing.
    """

    def compute(prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any) -> Rewards:
        earned = reward(prompts, completions, **columns)
        added = [other(prompts=prompts, completions=completions, **columns) for other in others]
        return [
            value + sum(its or 0.0 for its in theirs) if reward.accepts(value) else value
            for value, *theirs in zip(earned, *added, strict=True)
        ]

    return _named(compute, f"gated_{reward.__name__}")


def length_neutral(reward: FluencyReward) -> Callable[..., Rewards]:
    """The reward without what goes with length: among accepted completions, longer ones earn no more and no less.

    Of those that a batch's reward accepts, the least-squares line of their rewards in the characters that each has more
    than what it replaces is taken off, but for its mean. None falls below the operating point, and what is not
    accepted keeps what it earned, so that nonsense gains nothing by its length.
    """

    def compute(prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any) -> Rewards:
        earned = reward(prompts, completions, **columns)
        rows = [row for row, value in enumerate(earned) if reward.accepts(value)]
        replaced = columns[reward.part or reward.before]
        longer = np.array([len(reward.completion_text(completions[row]) or "") - len(replaced[row]) for row in rows])
        longer = longer - longer.mean() if rows else longer
        values = np.array([earned[row] for row in rows])
        slope = longer @ values / max(longer @ longer, 1)  # whole characters: below 1, all are as long
        straight = np.maximum(values - slope * longer, reward.scorer.calibration.threshold)
        return [dict(zip(rows, straight.tolist(), strict=True)).get(row, value) for row, value in enumerate(earned)]

    return _named(compute, f"length_neutral_{reward.__name__}")


def _named(compute: Callable[..., Any], name: str) -> Callable[..., Any]:
    compute.__name__ = name
    return compute
