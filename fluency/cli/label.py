"""`python -m fluency label`: a judge's labels for the rewrites of which the model is least sure, as a corpus."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fluency import FluencyScorer
from fluency.cli.arguments import layout_of
from fluency.corpus.challenge import read_challenge
from fluency.corpus.rows import category
from fluency.edits.forms import Change
from fluency.llm_judge.cache import KEPT, digest
from fluency.llm_judge.params import LLMParams
from fluency.llm_judge.prompt import THRESHOLD
from fluency.llm_judge.run import judge
from fluency.model.device import use_cores
from fluency.pairs.params import PairsParams
from fluency.scorer.candidates import groups_of, least_sure, like_any, single_edits
from fluency.scorer.inputs import visible
from fluency.scorer.outcome import score_of
from fluency.scorer.table_source import KNOWN, is_table
from fluency.sources.data import CHALLENGE
from fluency.utils.config import read_params
from fluency.utils.errors import UserError
from fluency.utils.files import read_parquet, written_aside
from fluency.utils.markdown import table

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
        raise UserError(f"{chosen.output}: is there already; name a new folder (an answer is not paid for twice)")
    rewrites = layout_of(chosen).edits(chosen.table)
    changes, aside = single_edits(tqdm(rewrites, "rewrites", unit="row", disable=None))
    changes, group = _apart(changes, near, aside)
    use_cores()
    scorer = FluencyScorer.load(chosen.model)
    scores = _scores(scorer, changes, aside)
    scored = np.flatnonzero(np.isfinite(scores))
    picked = scored[least_sure(scores[scored], scorer.calibration.threshold, group[scored], chosen.count)]
    if not len(picked):
        raise UserError(f"{chosen.table}: nothing to label; {_listed(aside)}")
    aside["surer, or like one that is picked"] += len(scored) - len(picked)
    pairs = [_pair(changes[row]) for row in picked]
    judgements = judge(pairs, llm, KEPT)
    print(judgements.told)
    rows = list(_labelled(pairs, scores[picked], judgements.rows))
    aside.update(f"{row['outcome']}: {row['problem']}" for row in judgements.rows if row["outcome"] != "answered")
    _write(chosen.output, rows, _card(chosen.table.name, llm.model, rows, aside))
    fluent = sum(row["label"] for row in rows)
    print(f"set aside: {_listed(aside)}")
    print(f"{chosen.output}: {len(rows)} edits, {fluent} of them fluent; add path:{chosen.output} to data.source")


def _apart(changes: list[Change], near: float | None, aside: Counter) -> tuple[list[Change], np.ndarray]:
    """The changes that are neither trained on nor alike what is evaluated on, and the group of each."""
    trained, held_out = set(_pairs("train")), [*_pairs("validation"), *_pairs("test")]
    held_out += [challenge.change for challenge in read_challenge(CHALLENGE)]
    group = groups_of([*changes, *held_out], near)
    leaking = np.isin(group[: len(changes)], group[len(changes) :]) | like_any(changes, held_out, near)
    new = np.array([change not in trained for change in changes], dtype=bool)
    aside["like what is evaluated on"] += int(leaking.sum())
    aside["trained on already"] += int((~new & ~leaking).sum())
    kept = np.flatnonzero(new & ~leaking)
    return [changes[row] for row in kept], group[kept]


def _pairs(split: str) -> Iterator[Change]:
    for pair in read_parquet(PAIRS / f"{split}.parquet", columns=["before", "after"]):
        yield visible(pair["before"]), visible(pair["after"])


def _scores(scorer: FluencyScorer, changes: Sequence[Change], aside: Counter) -> np.ndarray:
    """The scores, NaN where there is none, of shape [changes]."""
    scores = []
    for outcome in tqdm(scorer.score_stream(changes), "scores", len(changes), unit="edit", disable=None):
        scores.append(score_of(outcome))
        if scores[-1] != scores[-1]:
            aside[category(str(outcome))] += 1
    return np.array(scores, dtype=np.float64)


def _pair(change: Change) -> dict[str, str]:
    before, after = change
    return {"id": digest(change), "before": before, "after": after}


def _labelled(
    pairs: Sequence[Mapping[str, str]], scores: np.ndarray, rows: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The edits with a verdict, as rows of the corpus."""
    for pair, score, row in zip(pairs, scores.tolist(), rows, strict=True):
        if row["outcome"] == "answered":
            said = {"label": int(row["score"] >= THRESHOLD), "judge_score": row["score"], "reason": row["reason"]}
            place = {"split": "train", "part": "judged"}
            yield {"before": pair["before"], "after": pair["after"], **said, "model_score": round(score, 4), **place}


def _card(name: str, judge: str, rows: Sequence[Mapping[str, Any]], aside: Counter) -> str:
    """What the folder says of itself."""
    labels = Counter(f"label {row['label']}" for row in rows)
    return (
        f"# Edits labelled by {judge}\n\nRewrites of {name} that are one edit, of which the model was least sure. "
        "`model_score` is what it said; `judge_score` and `reason` are the judge's.\n\n"
        f"{table(('rewrites', 'count'), [*sorted(labels.items()), *(+aside).items()])}\n"
    )


def _listed(aside: Counter) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in aside.items() if count) or "none"


def _write(folder: Path, rows: Sequence[Mapping[str, Any]], card: str) -> None:
    with written_aside(folder) as aside:
        aside.mkdir()
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (aside / "labelled.jsonl").write_text("".join(lines), encoding="utf-8")
        (aside / "README.md").write_text(card, encoding="utf-8")
