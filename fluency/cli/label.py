"""`python -m fluency label`: a judge's labels for the rewrites of which the model is least sure, as a corpus."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from tqdm import tqdm

from fluency import FluencyScorer
from fluency.cli.arguments import layout_of
from fluency.corpus.challenge import read_challenge
from fluency.edits.forms import Change
from fluency.edits.sentence import visible
from fluency.labelling.corpus import labelled
from fluency.labelling.selection import select
from fluency.llm_judge.cache import answers_folder
from fluency.llm_judge.params import LLMParams
from fluency.model.device import use_machine
from fluency.pairs.params import PairsParams
from fluency.scorer.table_source import KNOWN, is_table
from fluency.sources.data import CHALLENGE
from fluency.utils.config import read_params
from fluency.utils.errors import UserError
from fluency.utils.files import read_parquet

PAIRS = Path("data/pairs")


def run(chosen: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        UserError: the table cannot be read, nothing is left to label, the folder is there already, or the judge gives
            no answers.
    """
    llm, near = read_params("llm", LLMParams), read_params("pairs", PairsParams).near_duplicates
    if not is_table(chosen.table):
        raise UserError(f"{chosen.table}: its suffix names no kind of table; {KNOWN}")
    if chosen.output.exists():
        raise UserError(f"{chosen.output}: is there already; name a new folder (labels are never replaced)")
    rewrites = tqdm(layout_of(chosen).edits(chosen.table), "rewrites", unit="row", disable=None)
    use_machine()
    scorer = FluencyScorer.load(chosen.model)  # before the pairs: where neither is here, it says what fetches both
    held_out = [*_pairs("validation"), *_pairs("test"), *(its.change for its in read_challenge(CHALLENGE))]
    selection = select(rewrites, scorer, trained={*_pairs("train")}, held_out=held_out, near=near, count=chosen.count)
    if not selection.changes:
        raise UserError(f"{chosen.table}: nothing to label; {_listed(selection.aside)}")
    corpus = labelled(selection, llm, answers_folder())
    print(f"{corpus.told}\nset aside: {_listed(corpus.aside)}")
    corpus.write(
        chosen.output,
        f"# Edits labelled by {llm.model}\n\nRewrites of {chosen.table.name} that are one edit, of which the model was "
        "least sure. `model_score` is what it said; `judge_score` and `reason` are the judge's.",
    )
    counts = f"{len(corpus.rows)} edits, {corpus.fluent} of them fluent"
    print(f"{chosen.output}: {counts}; add path:{chosen.output} to data.source")


def _pairs(split: str) -> Iterator[Change]:
    for pair in read_parquet(PAIRS / f"{split}.parquet", columns=["before", "after"]):
        yield visible(pair["before"]), visible(pair["after"])


def _listed(aside: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in aside.items()) or "none"
