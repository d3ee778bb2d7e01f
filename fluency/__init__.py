"""Does one edit keep a sentence fluent? Data, training, evaluation and the scorer of a fluency-edit classifier."""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "FluencyScorer": "fluency.scorer.scorer",
    "FluencyReward": "fluency.scorer.reward",
    "ScoreBatch": "fluency.scorer.batch_map",
    "Edit": "fluency.edits.edit",
    "CannotScore": "fluency.edits.forms",
    "UserError": "fluency.utils.errors",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Load a public name only when it is asked for: the scorer brings torch with it."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
