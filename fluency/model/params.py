"""The block `encode` of params.yaml: how much a model reads of a pair, and what of its language model."""

from dataclasses import dataclass

from fluency.utils.config import require


@dataclass(frozen=True)
class EncodeParams:
    max_length: int
    layer: int
    following: int
    keep_unseen: bool = False  # of training alone; a trained classifier has no use for it

    def __post_init__(self) -> None:
        require(self.max_length >= 8, "encode.max_length: must be 8 or more")
        require(self.layer >= 0, "encode.layer: must be 0 or more")
        require(self.following >= 1, "encode.following: must be 1 or more")
