"""Answers become judgements; a pair without a verdict gets no score and no label, and is counted."""

import json
from dataclasses import replace

import pytest

from fluency.llm_judge.cache import Answer
from fluency.llm_judge.client import Asked
from fluency.llm_judge.judgements import SCHEMA, judge
from fluency.params import load_params
from fluency.utils.errors import UserError
from fluency.utils.files import read_parquet, write_parquet

PARAMS = replace(load_params().llm, input_price=None, output_price=None)
PAIRS = [
    {"id": f"id{n}", "group": str(n), "before": f"before {n}", "after": f"after {n}", "label": n % 2, "part": "x"}
    for n in range(6)
]


def answer(text: str | dict, tokens_in: int | None = 100, tokens_out: int | None = 20) -> Answer:
    return Answer(text if isinstance(text, str) else json.dumps(text), "m-1", [], tokens_in, tokens_out)


def asked(answers: dict[int, Answer], failures: dict[int, str] | None = None, kept: int = 0) -> Asked:
    changes = [(pair["before"], pair["after"]) for pair in PAIRS]
    return Asked(
        answers={changes[n]: its for n, its in answers.items()},
        kept=kept,
        failures={changes[n]: why for n, why in (failures or {}).items()},
        refused=[],
    )


ASKED = asked(
    {
        0: answer({"verdict": "non-fluent", "probability": 0.2, "reason": "no verb"}),
        1: answer('I say {"verdict": "fluent"}', None),
        3: answer("It depends.", 100, None),
        4: answer({"verdict": "fluent", "probability": 0.5, "reason": ""}),
    },
    {2: "500: out of order"},
    kept=3,
)


def test_only_pairs_with_a_verdict_are_judged():
    found = judge(PAIRS, ASKED, PARAMS)
    assert [pair["id"] for pair in found.scored.pairs] == ["id0", "id1", "id4"]
    assert found.scored.scores.tolist() == [0.2, 1.0, 0.5]
    assert found.scored.accepted.tolist() == [False, True, True]  # as the verdicts say


def test_every_pair_has_a_row_that_says_what_came_of_it():
    rows = judge(PAIRS, ASKED, PARAMS).rows
    assert all(set(row) == set(SCHEMA.names) for row in rows)
    assert [(row["id"], row["outcome"], row["problem"]) for row in rows] == [
        ("id0", "answered", None),
        ("id1", "answered", None),
        ("id2", "failed", "500: out of order"),
        ("id3", "unparsed", "no JSON object with a verdict"),
        ("id4", "answered", None),
        ("id5", "unasked", "beyond llm.max_calls"),
    ]
    assert (rows[0]["reason"], rows[0]["score_by"], rows[0]["in_prose"]) == ("no verb", "probability", False)
    assert (rows[1]["score_by"], rows[1]["in_prose"]) == ("verdict", True)
    assert (rows[3]["text"], rows[3]["score"]) == ("It depends.", None)


def test_half_a_character_in_an_answer_can_be_written(tmp_path):
    reason = answer(r'{"verdict": "fluent", "reason": "\ud83d"}')
    found = judge(PAIRS, asked({0: reason, 1: answer("\ud83d")}), PARAMS)
    write_parquet(tmp_path / "answers.parquet", found.rows, SCHEMA)
    assert [row["reason"] for row in read_parquet(tmp_path / "answers.parquet")[:2]] == ["?", None]


def test_everything_is_counted_and_summed():
    assert judge(PAIRS, ASKED, PARAMS).counts == {
        "pairs": 6, "asked": 5, "answered": 3, "unparsed": 1, "failed": 1, "unasked": 1, "in_prose": 1,
        "score_by_logprobs": 0, "score_by_probability": 2, "score_by_verdict": 1, "from_cache": 3,
        "tokens_in": 300, "tokens_out": 60, "without_tokens": 2,
    }  # fmt: skip
    costly = replace(PARAMS, input_price=2.0, output_price=10.0)
    assert judge(PAIRS, ASKED, costly).counts["cost"] == pytest.approx((300 * 2 + 60 * 10) / 1e6)


def test_an_answer_to_two_pairs_is_paid_for_once():
    twins = [PAIRS[0], PAIRS[0] | {"id": "twin"}]
    counts = judge(twins, asked({0: answer({"verdict": "fluent"})}), PARAMS).counts
    assert (counts["answered"], counts["tokens_in"]) == (2, 100)


def test_without_any_verdict_there_is_nothing_to_measure():
    with pytest.raises(UserError, match=r"no answer of .* has a verdict; of 5 pairs: beyond llm\.max_calls"):
        judge(PAIRS, asked({0: answer("?")}), PARAMS)
