"""All of params.yaml, for checks before a run. A stage reads its own block, from the package that uses it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

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
from fluency.utils.errors import UserError


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


def params_with(overrides: Sequence[str]) -> Params:
    """The params that `dvc exp run` would give a run.

    Args:
        overrides: `KEY=VALUE` each.

    Raises:
        UserError: they are no params.
    """
    if not overrides:
        return load_params()
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    with TemporaryDirectory() as folder:
        path = Path(folder, PARAMS.name)
        path.write_bytes(PARAMS.read_bytes())
        try:
            apply_overrides(path, list(overrides))
            return load_params(path)
        except (DvcException, UserError) as error:
            raise UserError(str(error.__cause__ or error).replace(str(path), path.name)) from None
