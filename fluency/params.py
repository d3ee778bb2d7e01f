"""All of params.yaml, for checks before a run. A stage reads its own block, from the package that uses it."""

from dataclasses import dataclass
from pathlib import Path

from fluency.baselines.params import BaselineParams
from fluency.corpus.params import DataParams
from fluency.evaluation.params import DecisionParams, EvaluateParams
from fluency.llm_judge.params import LLMParams
from fluency.model.params import EncodeParams
from fluency.pairs.params import PairsParams
from fluency.scorer.params import AttackParams
from fluency.sources.params import ModelParams
from fluency.training.params import EditHeadParams, TrainParams
from fluency.utils.config import PARAMS, read_yaml


@dataclass(frozen=True)
class Params:
    data: DataParams
    model: ModelParams
    pairs: PairsParams
    encode: EncodeParams
    baseline: BaselineParams
    train: TrainParams
    edit_head: EditHeadParams
    decision: DecisionParams
    evaluate: EvaluateParams
    attack: AttackParams
    llm: LLMParams


def load_params(path: str | Path = PARAMS) -> Params:
    """Read and check params.yaml.

    Raises:
        UserError: naming the key at fault and what is expected there.
    """
    return read_yaml(path, Params)
