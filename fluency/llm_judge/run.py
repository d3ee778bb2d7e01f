"""Pairs judged by a language model: a score where its answer has a verdict, and a count of all the rest."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fluency.evaluation.scored_pairs import Pairs, ScoredPairs
from fluency.llm_judge.cache import opened
from fluency.llm_judge.client import ask, options
from fluency.llm_judge.params import LLMParams
from fluency.llm_judge.prompt import OUTCOMES, SOURCES, THRESHOLD, cut_off, message, read, text
from fluency.utils.errors import UserError

_TEXTS = ("id", "outcome", "score_by", "reason", "problem", "text", "message", "model")
_OTHERS = {"score": pa.float64(), "in_prose": pa.bool_(), "tokens_in": pa.int64(), "tokens_out": pa.int64()}
SCHEMA = pa.schema(dict.fromkeys(_TEXTS, pa.string()) | _OTHERS)
Row = dict[str, Any]


@dataclass(frozen=True)
class Judgements:
    """What a language model says of pairs.

    Attributes:
        scored: the pairs whose answer has a verdict, and no others.
        rows: every pair, with the columns of `SCHEMA`: what came of it, and the answer as it came.
        counts: for metrics/llm.json.
        refused: what the server does not take and was asked without.
    """

    scored: ScoredPairs
    rows: list[Row]
    counts: dict[str, int | float]
    refused: set[str]

    @property
    def told(self) -> str:
        """What came of it, in a line or two."""
        counts = ", ".join(f"{name.replace('_', ' ')}: {count:,}" for name, count in self.counts.items())
        if self.refused:
            return f"asked without {', '.join(sorted(self.refused))}, which the server does not take\n{counts}"
        return counts


def judge(pairs: Pairs, params: LLMParams, folder: Path) -> Judgements:
    """Ask about each different change of the pairs that has no answer in `folder`, and read the answers.

    Raises:
        UserError: as `ask` does; or no answer has a verdict.
    """
    changes = [(pair["before"], pair["after"]) for pair in pairs]
    with opened(folder, params.model, [params.base_url, options(params), message(("", ""))]) as cache:
        asked = ask(list(dict.fromkeys(changes)), cache, params)
        answers = {change: _row(cache.get(change)) for change in dict.fromkeys(changes) if change in cache}
    failed = {change: {"outcome": "failed", "problem": why} for change, why in asked.failures.items()}
    found, unasked = failed | answers, {"outcome": "unasked", "problem": "beyond llm.max_calls"}
    rows = [
        dict.fromkeys(SCHEMA.names) | {"id": pair["id"]} | found.get(change, unasked)
        for pair, change in zip(pairs, changes, strict=True)
    ]
    answered = [place for place, row in enumerate(rows) if row["outcome"] == "answered"]
    if not answered:
        ((problem, count),) = Counter(row["problem"] for row in rows).most_common(1)
        raise UserError(f"llm.model: no answer of {params.model} has a verdict; of {count} pairs: {problem}")
    scores = np.array([rows[place]["score"] for place in answered])
    scored = ScoredPairs([pairs[place] for place in answered], scores, THRESHOLD)
    return Judgements(scored, rows, _counts(rows, answers.values(), asked.kept, params), asked.refused)


def _row(response: Mapping[str, Any]) -> Row:
    """A response in the columns of `SCHEMA`."""
    choice, usage = response["choices"][0], response.get("usage")
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    read_, written, total = (usage.get(name) if isinstance(usage, dict) else None for name in names)
    if isinstance(read_, int) and isinstance(total, int) and total > read_:
        written = total - read_  # some count what a model thinks, and bill, in the total alone
    row = {
        "text": text(choice),
        "message": json.dumps(choice.get("message"), ensure_ascii=False),
        "model": str(response.get("model")),
        "tokens_in": read_ if isinstance(read_, int) else None,
        "tokens_out": written if isinstance(written, int) else None,
    }
    try:
        row |= {"outcome": "answered", **vars(read(choice))}
    except ValueError as error:
        end = f"; finish_reason {choice['finish_reason']}" if cut_off(choice) else ""
        row |= {"outcome": "unparsed", "problem": f"{error}{end}"}
    # without half characters, which JSON can have and UTF-8 can't
    return {name: its.encode(errors="replace").decode() if isinstance(its, str) else its for name, its in row.items()}


def _counts(rows: Sequence[Row], answers: Collection[Row], kept: int, params: LLMParams) -> dict[str, int | float]:
    """Counts of `rows`, one a pair, and the tokens of `answers`, each of which may be to several pairs."""
    outcomes, sources = Counter(row["outcome"] for row in rows), Counter(row["score_by"] for row in rows)
    tokens_in, tokens_out = (sum(row[name] or 0 for row in answers) for name in ("tokens_in", "tokens_out"))
    counts = {
        "pairs": len(rows),
        "asked": len(rows) - outcomes["unasked"],
        **{outcome: outcomes[outcome] for outcome in OUTCOMES},
        "in_prose": sum(bool(row["in_prose"]) for row in rows),
        **{f"score_by_{source}": sources[source] for source in SOURCES},
        "from_cache": kept,
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "without_tokens": sum(None in (row["tokens_in"], row["tokens_out"]) for row in answers),
    }
    if params.input_price is not None and params.output_price is not None:
        counts["cost"] = (tokens_in * params.input_price + tokens_out * params.output_price) / 1e6
    return counts
