"""Does one edit keep a sentence fluent? Data, training, evaluation and the scorer of a fluency-edit classifier."""

import os
from importlib import import_module
from typing import Any

# OpenMP's threads spin while they wait for each other, which costs a training most of its time beside other programs
# that want the cores. Read when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "0")

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
