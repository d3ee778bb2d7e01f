"""Compare the language model with the trained one by paired tests, and show both beside the baseline in a report."""

from pathlib import Path

from fluency.evaluation.calibration import Calibration
from fluency.evaluation.comparison import compare
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.predictions import join, on_the_same_pairs
from fluency.evaluation.slices import sentence_keys, slices
from fluency.llm_judge.params import LLMParams
from fluency.llm_judge.prompt import OUTCOMES
from fluency.report.page import Entry, read_entries, write_report
from fluency.report.pictures import pictures
from fluency.report.summary import comparison_text
from fluency.utils.config import read_params
from fluency.utils.files import read_json, read_parquet, write_text
from fluency.utils.processes import run_stage

TRAIN, TEST = Path("data/pairs/train.parquet"), Path("data/pairs/test.parquet")
METRICS, RESULTS = Path("metrics"), Path("results")


def main() -> None:
    evaluate = read_params("evaluate", EvaluateParams)
    pairs = read_parquet(TEST)
    entries = read_entries(pairs, RESULTS, METRICS)
    predictions = read_parquet(RESULTS / "llm.parquet")
    llm = Entry(
        read_params("llm", LLMParams).model, join(predictions, pairs, "llm.parquet"), read_json(METRICS / "llm.json")
    )
    model, entries = entries[0], [*entries, llm]
    comparison = compare(*on_the_same_pairs(llm.scored, model.scored), evaluate)
    table = comparison_text(comparison, (llm.name, model.name), limit=20)
    outcomes = ", ".join(f"{llm.figures['answers'][outcome]} {outcome}" for outcome in OUTCOMES)
    write_text(RESULTS / "llm_comparison.md", f"{llm.name} on the test pairs: {outcomes}.\n\n{table}")
    train = read_parquet(TRAIN, columns=["before", "after"])
    by_slice = slices(model.scored, sentence_keys(text for pair in train for text in pair.values()))
    challenge = read_json(METRICS / "challenge.json")
    report = RESULTS / "report_with_judge.html"
    write_report(
        report, entries, evaluate, calibration=Calibration.load("models/calibration.json"), slices=by_slice,
        challenge=challenge, attack=read_json(METRICS / "attack.json"), pictures=pictures(METRICS / "pictures"),
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
