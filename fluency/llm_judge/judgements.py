"""A language model's answers as judgements of pairs: a score where there is one, and a count of all the rest."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fluency.edits.forms import Change
from fluency.evaluation.scored_pairs import Pairs, ScoredPairs
from fluency.llm_judge.client import Asked
from fluency.llm_judge.params import LLMParams
from fluency.llm_judge.prompt import OUTCOMES, SOURCES, THRESHOLD, read
from fluency.utils.errors import UserError

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("outcome", pa.string()),
        ("score", pa.float64()),
        ("score_by", pa.string()),
        ("reason", pa.string()),
        ("in_prose", pa.bool_()),
        ("problem", pa.string()),
        ("text", pa.string()),
        ("model", pa.string()),
    ]
)


@dataclass(frozen=True)
class Judgements:
    """What a language model says of pairs.

    Attributes:
        scored: the pairs whose answer has a verdict, and no others.
        rows: every pair, with the columns of `SCHEMA`: what came of it, and the answer as it came.
        counts: for metrics/llm.json.
    """

    scored: ScoredPairs
    rows: list[dict[str, Any]]
    counts: dict[str, int | float]


def judge(pairs: Pairs, asked: Asked, params: LLMParams) -> Judgements:
    """Read the answers.

    Raises:
        UserError: none of them has a verdict.
    """
    rows = [_row(pair["id"], (pair["before"], pair["after"]), asked) for pair in pairs]
    answered = [place for place, row in enumerate(rows) if row["outcome"] == "answered"]
    if not answered:
        ((problem, count),) = Counter(row["problem"] for row in rows).most_common(1)
        raise UserError(f"llm.model: no answer of {params.model} has a verdict; of {count} pairs: {problem}")
    scores = np.array([rows[place]["score"] for place in answered])
    scored = ScoredPairs([pairs[place] for place in answered], scores, THRESHOLD)
    return Judgements(scored, rows, _counts(rows, asked, params))


def _row(id_: str, change: Change, asked: Asked) -> dict[str, Any]:
    row = dict.fromkeys(SCHEMA.names) | {"id": id_}
    if change in asked.failures:
        return row | {"outcome": "failed", "problem": asked.failures[change]}
    if change not in asked.answers:
        return row | {"outcome": "unasked", "problem": "beyond llm.max_calls"}
    answer = asked.answers[change]
    row |= {"text": _writable(answer.text), "model": _writable(answer.model)}
    try:
        verdict = read(answer)
    except ValueError as error:
        return row | {"outcome": "unparsed", "problem": str(error)}
    return row | {"outcome": "answered", **vars(verdict), "reason": _writable(verdict.reason)}


def _writable(text: str) -> str:
    """The text without half characters, which JSON can have and UTF-8 can't."""
    return text.encode(errors="replace").decode()


def _counts(rows: Sequence[Mapping[str, Any]], asked: Asked, params: LLMParams) -> dict[str, int | float]:
    outcomes, sources = Counter(row["outcome"] for row in rows), Counter(row["score_by"] for row in rows)
    answers = asked.answers.values()
    tokens_in, tokens_out = (sum(getattr(its, name) or 0 for its in answers) for name in ("tokens_in", "tokens_out"))
    counts = {
        "pairs": len(rows),
        "asked": len(rows) - outcomes["unasked"],
        **{outcome: outcomes[outcome] for outcome in OUTCOMES},
        "in_prose": sum(bool(row["in_prose"]) for row in rows),
        **{f"score_by_{source}": sources[source] for source in SOURCES},
        "from_cache": asked.kept,
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "without_tokens": sum(None in (answer.tokens_in, answer.tokens_out) for answer in answers),
    }
    if params.input_price is not None and params.output_price is not None:
        counts["cost"] = (tokens_in * params.input_price + tokens_out * params.output_price) / 1e6
    return counts
