"""Answers become judgements; a pair without a verdict gets no score and no label, and is counted."""

import json
import math
from dataclasses import replace

import pytest

from fluency.llm_judge.run import SCHEMA, Judgements, judge
from fluency.params import load_params
from fluency.utils.errors import UserError
from fluency.utils.files import read_parquet, write_parquet
from tests.helpers.chat import ChatServer, Fault, completion, json_body, status

PAIRS = [
    {"id": f"id{n}", "group": str(n), "before": f"before {n}", "after": f"after {n}", "label": n % 2, "part": "x"}
    for n in range(6)
]


def answer(said: str | dict, tokens_in: int | None = 100, tokens_out: int | None = 20) -> Fault:
    """A chat completion of this content, `tokens_in` and `tokens_out` as the server bills them."""
    usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}
    content = said if isinstance(said, str) else json.dumps(said)
    return completion({"content": content, "annotations": []}, model="m-1", usage=usage)


ANSWERS = {
    0: answer({"verdict": "non-fluent", "probability": 0.2, "reason": "no verb"}),
    1: answer('I say {"verdict": "fluent"}', None),
    3: answer("It depends.", 100, None),
    2: answer({"verdict": "fluent", "probability": 0.5, "reason": ""}),
}


class Judge:
    """A server that gives certain answers, and the folder in which they are kept."""

    def __init__(self, server: ChatServer, folder) -> None:
        self.server, self.folder = server, folder
        self.params = replace(load_params().llm, base_url=server.url, api_key_env=None, model=server.model)

    def judge(self, answers: dict[int, Fault], pairs: list[dict] = PAIRS, **changed) -> Judgements:
        """Judge pairs by these answers; a pair that has none is refused."""
        refused = status(400, "out of order")
        by_change = {(PAIRS[n]["before"], PAIRS[n]["after"]): answer for n, answer in answers.items()}
        self.server.faults = lambda change: [by_change.get(change, refused)] * 9
        return judge(pairs, replace(self.params, **changed), self.folder)

    def all_outcomes(self, **changed) -> Judgements:
        """Three answers of an earlier run, one of this one, one refusal, and one pair beyond the budget."""
        self.judge(ANSWERS, [PAIRS[n] for n in (0, 1, 3)])
        return self.judge(ANSWERS, max_calls=4, concurrency=1, **changed)


@pytest.fixture
def judge_(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ChatServer() as server:
        yield Judge(server, tmp_path / "answers")


def test_only_pairs_with_a_verdict_are_judged(judge_):
    found = judge_.all_outcomes()
    assert [pair["id"] for pair in found.scored.pairs] == ["id0", "id1", "id2"]
    assert found.scored.scores.tolist() == [0.2, 1.0, 0.5]
    assert found.scored.accepted.tolist() == [False, True, True]  # as the verdicts say


def test_every_pair_has_a_row_that_says_what_came_of_it(judge_):
    rows = judge_.all_outcomes().rows
    assert all(set(row) == set(SCHEMA.names) for row in rows)
    assert [(row["id"], row["outcome"], row["problem"]) for row in rows] == [
        ("id0", "answered", None),
        ("id1", "answered", None),
        ("id2", "answered", None),
        ("id3", "unparsed", "no JSON object with a verdict"),
        ("id4", "failed", "400: out of order"),
        ("id5", "unasked", "beyond llm.max_calls"),
    ]
    assert (rows[0]["reason"], rows[0]["score_by"], rows[0]["in_prose"]) == ("no verb", "probability", False)
    assert (rows[1]["score_by"], rows[1]["in_prose"]) == ("verdict", True)
    assert (rows[3]["text"], rows[3]["model"], rows[3]["score"]) == ("It depends.", "m-1", None)
    assert json.loads(rows[3]["message"]) == {"content": "It depends.", "annotations": []}  # all of it, as it came
    assert (rows[3]["tokens_in"], rows[3]["tokens_out"]) == (100, None)


def test_an_answer_that_was_cut_off_in_its_midst_says_so(judge_):
    rows = judge_.judge(ANSWERS | {0: completion({"content": '{"verdict": "flu'}, "length")}).rows
    assert rows[0]["problem"] == "no JSON object with a verdict; finish_reason length"


def test_half_a_character_in_an_answer_can_be_written(judge_, tmp_path):
    reason = answer(r'{"verdict": "fluent", "reason": "\ud83d"}')
    found = judge_.judge({0: reason, 1: answer("\ud83d")})
    write_parquet(tmp_path / "answers.parquet", found.rows, SCHEMA)
    assert [row["reason"] for row in read_parquet(tmp_path / "answers.parquet")[:2]] == ["?", None]


def test_everything_is_counted_and_summed(judge_):
    counts = {
        "pairs": 6, "asked": 5, "answered": 3, "unparsed": 1, "failed": 1, "unasked": 1, "in_prose": 1,
        "score_by_logprobs": 0, "score_by_probability": 2, "score_by_verdict": 1, "from_cache": 3,
        "tokens_in": 300, "tokens_out": 60, "without_tokens": 2,
    }  # fmt: skip
    assert judge_.all_outcomes().counts == counts
    costly = judge_.all_outcomes(input_price=2.0, output_price=10.0).counts
    assert costly.pop("cost") == pytest.approx((300 * 2 + 60 * 10) / 1e6)
    assert costly == counts | {"from_cache": 4, "failed": 0, "asked": 4, "unasked": 2}  # nothing left to pay with


def test_log_probabilities_become_the_score_where_they_are_given(judge_):
    def token(text: str, **others: float) -> dict:
        top = [{"token": other, "logprob": logprob, "bytes": None} for other, logprob in others.items()]
        return {"token": text, "logprob": others.get(text, -0.01), "bytes": None, "top_logprobs": top}

    tokens = [token('{"verdict":"'), token("fl", fl=-0.2, non=-1.8), token('uent","probability":0.6}')]
    said = {"message": {"content": "".join(each["token"] for each in tokens)}, "finish_reason": "stop"}
    given = [{"content": tokens}, {"content": [{"token": 1}]}, {"content": None}, [], None]
    answers = {n: json_body({"choices": [said | {"logprobs": logprobs}]}) for n, logprobs in enumerate(given)}
    for _ in range(2):  # from the server, and from the disk
        rows = judge_.judge(answers, PAIRS[: len(given)]).rows
        assert [row["score_by"] for row in rows] == ["logprobs"] + ["probability"] * 4
        assert rows[0]["score"] == pytest.approx(1 / (1 + math.exp(-1.8 + 0.2)))
    assert len(judge_.server.requests) == len(given)


def test_tokens_that_only_the_total_has_count_as_written(judge_):
    usages = [{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": total} for total in (115, 0)]
    answers = {n: completion({"content": '{"verdict": "fluent"}'}, usage=usage) for n, usage in enumerate(usages)}
    assert [row["tokens_out"] for row in judge_.judge(answers, PAIRS[:2]).rows] == [105, 5]


@pytest.mark.parametrize("usage", [None, [], "none", {"prompt_tokens": "many", "completion_tokens": None}])
def test_an_answer_whose_tokens_are_unknown_is_counted(judge_, usage):
    counts = judge_.judge({0: completion({"content": '{"verdict": "fluent"}'}, usage=usage)}, PAIRS[:1]).counts
    assert (counts["tokens_in"], counts["tokens_out"], counts["without_tokens"]) == (0, 0, 1)


def test_an_answer_to_two_pairs_is_paid_for_once(judge_):
    twins = [PAIRS[0], PAIRS[0] | {"id": "twin"}]
    counts = judge_.judge({0: answer({"verdict": "fluent"})}, twins).counts
    assert (counts["answered"], counts["tokens_in"]) == (2, 100)
    assert len(judge_.server.requests) == 1


def test_without_any_verdict_there_is_nothing_to_measure(judge_):
    with pytest.raises(UserError, match=r"no answer of judge-1 has a verdict; of 5 pairs: 400: out of order"):
        judge_.judge({0: answer("?")})
