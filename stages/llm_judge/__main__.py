"""Ask a language model about the test pairs; write its predictions, its answers and their figures."""

from pathlib import Path

from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.predictions import write_predictions
from fluency.evaluation.scored_pairs import figures
from fluency.llm_judge.cache import answers_folder
from fluency.llm_judge.params import LLMParams
from fluency.llm_judge.run import SCHEMA, judge
from fluency.utils.config import read_params
from fluency.utils.errors import UserError
from fluency.utils.files import read_parquet, write_json, write_parquet
from fluency.utils.processes import run_stage

TEST, FIGURES = Path("data/pairs/test.parquet"), Path("metrics/llm.json")
PREDICTIONS, ANSWERS = Path("results/llm.parquet"), Path("results/llm_answers.parquet")


def main() -> None:
    params = read_params("llm", LLMParams)
    if not params.splits:
        raise UserError("llm.splits: names no split to ask about; [test] asks, and may cost money")
    pairs = read_parquet(TEST)
    judgements = judge(pairs, params, answers_folder())
    counts = judgements.counts
    write_json(FIGURES, figures(judgements.scored, read_params("evaluate", EvaluateParams)) | {"answers": counts})
    write_predictions(PREDICTIONS, judgements.scored)
    write_parquet(ANSWERS, judgements.rows, SCHEMA)
    print(judgements.told)
    if counts["failed"]:
        print("to ask again where it failed: dvc repro --force --single-item stages/llm_judge/dvc.yaml:judge")


if __name__ == "__main__":
    run_stage(main)
