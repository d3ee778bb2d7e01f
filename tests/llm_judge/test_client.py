"""A model is asked about each change once, whatever its server does; its answers are kept, and no secret is."""

import json
import threading

import pytest

from tests.helpers.chat import cut, drip, drop, hang, json_body, said, status
from tests.llm_judge.conftest import CHANGES, only


def test_each_change_is_asked_about_once_and_never_again(judge):
    asked = judge.ask([*CHANGES, *CHANGES])
    assert judge.server.asked() == dict.fromkeys(CHANGES, 1)
    contents = {change: response["choices"][0]["message"]["content"] for change, response in asked.answers.items()}
    assert {change: json.loads(content) for change, content in contents.items()} == {
        change: said(change) for change in CHANGES
    }
    assert (asked.kept, asked.failures, asked.refused) == (0, {}, set())
    again = judge.ask(api_key_env="NOT_SET")  # nor is a key needed for what is there
    assert (again.kept, again.answers) == (20, asked.answers)
    assert len(judge.server.requests) == 20


def test_a_response_is_kept_whole_as_it_came(judge):
    whole = {"choices": [{"message": {"content": "x", "reasoning_content": "y", "extra": [1]}}], "odd": {"a": None}}
    judge.server.faults = only(CHANGES[0], json_body(whole))
    for _ in range(2):
        assert judge.ask(CHANGES[:1]).answers == {CHANGES[0]: whole}


def test_what_is_asked_is_structured_and_repeatable_and_asks_for_log_probabilities(judge):
    judge.ask(CHANGES[:1])
    (request,) = judge.server.requests
    assert request["response_format"]["json_schema"]["strict"] is True
    assert (request["temperature"], request["seed"], request["logprobs"], request["top_logprobs"]) == (0, 42, True, 5)


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "judge-2"},
        {"temperature": 1.0},
        {"seed": 1},
        {"base_url": ""},
        {"options": {"reasoning_effort": "low"}},
    ],
)
def test_answers_of_another_model_or_setting_are_not_taken(judge, changed):
    judge.ask(CHANGES[:3])
    judge.server.model = changed.get("model", "judge-1")
    changed = {"base_url": judge.server.url + "/"} if "base_url" in changed else changed
    assert judge.ask(CHANGES[:3], **changed).kept == 0


def test_options_go_into_the_request_as_they_are(judge):
    judge.ask(
        CHANGES[:1],
        options={
            "reasoning_effort": "low",
            "max_completion_tokens": 500,
            "top_logprobs": 2,
            "chat_template_kwargs": {"enable_thinking": False},
            "extra_body": {"provider": {"order": ["a"]}},
            "extra_headers": {"X-Title": "fluency"},
            "extra_query": {"api-version": "1"},
        },
    )
    (request,), (headers,) = judge.server.requests, judge.server.headers
    assert request == request | {
        "reasoning_effort": "low", "max_completion_tokens": 500, "top_logprobs": 2, "temperature": 0,
        "chat_template_kwargs": {"enable_thinking": False}, "provider": {"order": ["a"]},
    }  # fmt: skip
    assert not {"extra_body", "extra_headers", "extra_query"} & request.keys()
    assert headers["X-Title"] == "fluency"
    assert judge.server.paths == ["/v1/chat/completions?api-version=1"]


def test_no_more_calls_are_under_way_than_allowed_and_no_fewer(judge):
    together, lock, under_way, most = threading.Barrier(3), threading.Lock(), set(), 0

    def content(change):
        nonlocal most
        with lock:
            under_way.add(change)
            most = max(most, len(under_way))
        if len(judge.server.requests) > 1:  # the first is asked alone
            together.wait(timeout=60)
        with lock:
            under_way.remove(change)
        return json.dumps(said(change))

    judge.server.content = content
    judge.ask(CHANGES[:19], concurrency=3)
    assert most == 3


@pytest.mark.parametrize(
    "fault",
    [status(429), status(429, Retry_After="7"), status(500), status(502), status(503), status(408), drop, cut],
    ids=["429", "429 with Retry-After", "500", "502", "503", "408", "reset", "cut short"],
)
def test_what_passes_is_tried_again(judge, fault):
    judge.server.faults = lambda change: [fault] * 2
    asked = judge.ask()
    assert len(asked.answers) == 20
    assert judge.server.asked() == dict.fromkeys(CHANGES, 3)
    assert judge.server.answered == dict.fromkeys(CHANGES, 1)


def test_a_busy_server_is_left_alone_ever_longer_by_no_fixed_time(judge):
    judge.server.faults = only(CHANGES[0], *[status(429)] * 6)
    judge.ask(CHANGES[:1], retries=6)
    for wait, most in zip(judge.waits, [0.5, 1, 2, 4, 8, 8], strict=True):
        assert 0.75 * most <= wait <= most
    assert len({wait / most for wait, most in zip(judge.waits, [0.5, 1, 2, 4, 8, 8], strict=True)}) == 6


def test_a_server_that_says_how_long_it_is_busy_is_left_alone_so_long(judge):
    judge.server.faults = only(CHANGES[0], status(429, Retry_After="7"), status(503, retry_after_ms="1500"))
    judge.ask(CHANGES[:1])
    assert judge.waits == [7, 1.5]


@pytest.mark.parametrize("fault", [hang, drip])
def test_a_try_has_a_time_limit_whether_or_not_bytes_come(judge, fault):
    judge.server.faults = only(CHANGES[0], fault)
    assert len(judge.ask(CHANGES[:1], timeout=0.5, retries=99).answers) == 1
    assert judge.waits
    judge.server.faults = only(CHANGES[1], *[fault] * 9)
    assert "gives no answers (no answer within 0.2 s)" in judge.refused(CHANGES[1:2], timeout=0.2)


def test_a_change_without_an_answer_is_noted_and_asked_about_by_the_next_run(judge):
    judge.server.faults = only(CHANGES[3], *[status(500, "out of order")] * 4)
    judge.ask(CHANGES[:1])
    asked = judge.ask()
    assert asked.failures == {CHANGES[3]: "500: out of order"}
    assert set(asked.answers) == set(CHANGES) - {CHANGES[3]}
    judge.server.faults = only(CHANGES[3], *[status(500, "still")] * 9)
    assert judge.ask().failures == {CHANGES[3]: "500: still"}  # of one that never works, the others don't suffer
    again = judge.ask()
    assert (again.kept, len(again.answers), again.failures) == (19, 20, {})
    assert judge.server.answered == dict.fromkeys(CHANGES, 1)


def test_a_change_that_the_server_refuses_is_noted_and_the_rest_asked(judge):
    judge.server.faults = lambda change: [status(400, "content policy")] * 9 if change in CHANGES[:4] else []
    asked = judge.ask()
    assert asked.failures == dict.fromkeys(CHANGES[:4], "400: content policy")
    assert len(asked.answers) == 16
    assert judge.waits == []


def test_a_key_is_needed_and_its_variable_named(judge, monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    message = judge.refused(api_key_env="GEMINI_API_KEY")
    assert message.startswith(
        f"llm.api_key_env: GEMINI_API_KEY is not set; export it with the key for {judge.server.url}"
    )
    monkeypatch.setenv("GEMINI_API_KEY", "kéy")
    assert "GEMINI_API_KEY holds no key" in judge.refused(api_key_env="GEMINI_API_KEY")
    assert judge.server.requests == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (None, "(401: Incorrect API key provided: ***.)"),
        (status(403, "no access"), "(403: no access)"),
        (status(400, "API key not valid. Please pass a valid API key."), "(400: API key not valid."),
    ],
)
def test_a_wrong_key_ends_it_at_once_and_is_never_shown(judge, monkeypatch, capfd, caplog, fault, message):
    caplog.set_level("DEBUG")
    monkeypatch.setenv("A_KEY", "sk-secret\n")
    judge.server.key = "another"
    judge.server.faults = lambda change: [fault] if fault else []
    told = judge.refused(api_key_env="A_KEY")
    assert f"llm.api_key_env: {judge.server.url} does not take the key in A_KEY {message}" in told
    assert len(judge.server.requests) == 1
    assert "sk-secret" not in "".join((told, *capfd.readouterr(), caplog.text))


def test_a_server_that_wants_a_key_after_all_says_so(judge):
    judge.server.key = "sk-secret"
    assert "wants a key, and null names no variable (401: Incorrect API key" in judge.refused()


def test_the_right_key_is_sent_and_not_kept(judge, monkeypatch, capfd, caplog):
    caplog.set_level("DEBUG")
    monkeypatch.setenv("A_KEY", "sk-secret\n")
    judge.server.key = "sk-secret"
    judge.server.faults = only(CHANGES[0], *[status(500, "your key is sk-secret")] * 9)
    judge.ask(CHANGES[1:2], api_key_env="A_KEY")
    asked = judge.ask(CHANGES[:5], api_key_env="A_KEY")
    assert asked.failures == {CHANGES[0]: "500: your key is ***"}
    assert {headers["Authorization"] for headers in judge.server.headers} == {"Bearer sk-secret"}
    files = "".join(path.name + path.read_text() for path in judge.folder.iterdir())
    assert "sk-secret" not in "".join((files, repr(asked), *capfd.readouterr(), caplog.text))


def test_an_unknown_model_ends_it_at_once(judge):
    message = judge.refused(model="judge-9")
    assert "llm.model: " in message
    assert "has no judge-9 (404: The model judge-9 does not exist); check it, and llm.base_url" in message
    assert len(judge.server.requests) == 1


def test_a_server_out_of_reach_is_told_after_the_first_change(judge):
    nowhere = "http://127.0.0.1:9/v1"
    assert judge.refused(base_url=nowhere) == (
        f"llm.base_url: {nowhere} gives no answers (All connection attempts failed); check it, or run again later"
    )
    assert len(judge.waits) == 3


def test_a_wait_that_is_too_long_is_not_waited_for(judge):
    judge.server.faults = lambda change: [status(429, "daily quota", Retry_After="86400")]
    assert "gives no answers (429: daily quota)" in judge.refused()
    assert judge.waits == []


def test_a_server_that_gives_up_in_between_stops_the_run_and_the_next_goes_on(judge):
    judge.server.faults = lambda change: [status(503, "over")] * 4 if len(judge.server.asked()) > 6 else []
    message = judge.refused(concurrency=1)
    assert message.endswith("gives no answers (503: over); check it, or run again later; the 6 answers so far are kept")
    assert len(judge.server.asked()) == 6 + 10
    judge.server.faults = lambda change: []
    asked = judge.ask()
    assert (asked.kept, len(asked.answers)) == (6, 20)
    assert judge.server.answered == dict.fromkeys(CHANGES, 1)


def test_a_budget_is_for_all_runs_together(judge):
    asked = judge.ask(max_calls=5)
    assert len(asked.answers) == sum(judge.server.answered.values()) == 5
    assert asked.failures == {}
    assert set(asked.answers) != set(CHANGES[:5])  # a sample, not the head of the corpus
    assert judge.ask(max_calls=5).answers.keys() == asked.answers.keys()
    assert len(judge.server.requests) == 5
    more = judge.ask(max_calls=8)
    assert more.answers.keys() > asked.answers.keys()
    assert len(judge.server.requests) == 8


def test_a_refused_try_is_not_paid_for_and_one_that_broke_off_may_be(judge):
    judge.server.faults = lambda change: [status(429)] * 2
    assert len(judge.ask(max_calls=5).answers) == 5
    judge.server.faults = lambda change: [cut]
    assert len(judge.ask(CHANGES, max_calls=5 + 6, concurrency=1).answers) == 5 + 3
