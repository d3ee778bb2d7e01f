"""Does one edit keep a sentence fluent? Data, training, evaluation and the scorer of a fluency-edit classifier."""

from typing import Any

__all__ = ["FluencyScorer"]


def __getattr__(name: str) -> Any:
    """Load the scorer, and torch with it, only when it is asked for."""
    if name == "FluencyScorer":
        from fluency.scorer import FluencyScorer

        return FluencyScorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
