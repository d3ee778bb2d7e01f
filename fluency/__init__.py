"""Does one edit keep a sentence fluent? Data, training, evaluation and the scorer of a fluency-edit classifier."""

import os
from typing import Any

__all__ = ["FluencyScorer"]

PROCESS = os.getpid()  # a process that finds another here was forked, and left torch's threads behind


def __getattr__(name: str) -> Any:
    """Load the scorer, and torch with it, only when it is asked for."""
    if name == "FluencyScorer":
        from fluency.scorer import FluencyScorer

        return FluencyScorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
