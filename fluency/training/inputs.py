"""What a classifier is trained from, and by which recipe."""

from dataclasses import dataclass
from pathlib import Path

from fluency.model.params import EncodeParams
from fluency.training.params import EditHeadParams, TrainParams
from fluency.utils.files import read_json


@dataclass(frozen=True)
class Inputs:
    """What a classifier is trained from.

    Attributes:
        encoded: folder of the encoded pairs, train/ and validation/.
        base: folder of the base model; its manifest.json says of which kind the classifier is.
        encode: how the pairs were encoded.
        edit_head: what an edit head has of its own.
    """

    encoded: Path
    base: Path
    encode: EncodeParams
    edit_head: EditHeadParams

    @property
    def is_edit_head(self) -> bool:
        """Whether the classifier is an edit head, else a cross-encoder."""
        return read_json(self.base / "manifest.json")["kind"] == "edit_head"

    def recipe(self, params: TrainParams) -> TrainParams:
        """The hyperparameters of this kind of classifier."""
        return self.edit_head.recipe(params) if self.is_edit_head else params
