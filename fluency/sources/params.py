"""The block `model` of params.yaml: where the base model comes from, and what becomes of it."""

from dataclasses import dataclass

from fluency.utils.config import require

KINDS = ("cross_encoder", "edit_head")


@dataclass(frozen=True)
class ModelParams:
    source: str
    sha256: str | None
    kind: str | None

    def __post_init__(self) -> None:
        require(self.kind in (None, *KINDS), f"model.kind: {self.kind!r} is none of {', '.join(KINDS)}, or null")
