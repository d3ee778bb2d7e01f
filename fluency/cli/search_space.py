"""What a search looks for, in the words of its command: params to choose, and the figure to raise."""

import math
from collections.abc import Sequence
from typing import Any

from dvc.utils.hydra import to_hydra_overrides
from hydra.errors import OverrideParseException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from fluency.utils.errors import UserError

FIGURES = "metrics/validation.json"
_FALLING = ("brier", "ece", "log_loss")  # better the lower they are; a search raises its figure

Space = dict[str, BaseDistribution]


def read_space(overrides: Sequence[str]) -> tuple[Space, list[str]]:
    """What `-S KEY=VALUE` says, as for `dvc exp run -S` (in Hydra's words): where to look, and what is the same in all.

    Raises:
        UserError: an override cannot be read, or none leaves a choice.
    """
    space: Space = {}
    fixed = []
    for text in overrides:
        try:
            (override,) = to_hydra_overrides([text])
            key, value = override.get_key_element(), override.value()
            if override.is_interval_sweep():
                kind = IntDistribution if isinstance(value.start, int) else FloatDistribution
                space[key] = kind(value.start, value.end, log="log" in value.tags)
            elif override.is_sweep_override():
                space[key] = CategoricalDistribution(list(override.sweep_string_iterator()))
            else:
                fixed.append(text)
        except (OverrideParseException, ValueError) as error:
            raise UserError(f"-S {text}: {' '.join(str(error).split())}") from None
    if not space:
        raise UserError("nothing to search: -S KEY=A,B or -S 'KEY=interval(LOW,HIGH)' leaves a choice")
    return space, fixed


def extremes(distribution: BaseDistribution) -> Sequence[Any]:
    """All choices, or the two ends."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return distribution.low, distribution.high


def figure_at(figures: Any, name: str) -> float:
    """A figure to raise, by its path, as `precision_at_recall.0.8`.

    Raises:
        UserError: there is none, it is no number, or lower is better.
    """
    found, rest = figures, f"{name}."
    while rest:
        key = next((key for key in found if rest.startswith(f"{key}.")), None) if isinstance(found, dict) else None
        if key is None:
            raise UserError(f"--figure {name}: {FIGURES} has no such figure")
        found, rest = found[key], rest.removeprefix(f"{key}.")
    if type(found) not in (int, float) or not math.isfinite(found):
        inside = f", but holds {', '.join(found)}" if isinstance(found, dict) else ""
        raise UserError(f"--figure {name}: is no number in {FIGURES}{inside}")
    if key.startswith(_FALLING):
        raise UserError(f"--figure {name}: is better the lower it is, and a search raises it; name another")
    return found
