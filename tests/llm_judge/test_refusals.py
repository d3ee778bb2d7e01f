"""What is no answer is not kept as one, and what a server refuses is left out, whatever status it says so with."""

import pytest

from fluency.llm_judge.prompt import text
from tests.helpers.chat import body, change_of, completion, json_body, status
from tests.llm_judge.conftest import CHANGES, only


@pytest.mark.parametrize(
    "fault",
    [
        body(b'{"choices": [{"mess'),
        body(b"<html>Log in</html>", "text/html"),
        body(b"[]"),
        body(b'"x"'),
        body(b'{"choices": ["x"]}'),
        completion("x"),
        completion({"content": [1]}),
    ],
    ids=["broken JSON", "a page", "a list", "a string", "no choice", "no message", "a part that is none"],
)
def test_a_response_that_is_no_chat_completion_is_no_answer(judge, fault):
    judge.ask(CHANGES[:1])
    judge.server.faults = only(CHANGES[5], fault)
    asked = judge.ask()
    assert asked.failures == {CHANGES[5]: "200: the response is no chat completion"}
    assert len(asked.answers) == 19
    assert judge.waits == []
    assert judge.ask().failures == {}
    judge.server.faults = lambda change: [fault] * 9
    assert "gives no answers (200: the response is no chat completion)" in judge.refused(seed=1)


FAILURES = {  # with status 200
    "502: upstream": json_body({"error": {"code": 502, "message": "upstream"}, "choices": None}),
    "busy": json_body({"error": "busy"}),
    "no choices": json_body({"choices": None, "usage": {"prompt_tokens": 9}}),
    "no choices at all": json_body({"choices": []}),
    "finish_reason error": completion({"content": "Half of an"}, "error"),
    "lost": json_body({"choices": [{"error": {"message": "lost"}, "finish_reason": "error", "message": {}}]}),
}


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
def test_an_error_with_status_200_is_asked_again_and_not_paid_for(judge, fault):
    judge.server.faults = lambda change: [fault] * 2
    asked = judge.ask(max_calls=20)
    assert (len(asked.answers), asked.failures) == (20, {})
    assert judge.server.asked() == dict.fromkeys(CHANGES, 3)
    assert len(judge.waits) == 40


def test_an_error_with_status_200_that_lasts_is_no_answer_and_asked_again_by_the_next_run(judge):
    faults = dict(zip(CHANGES[:6], FAILURES.values(), strict=True))
    judge.ask(CHANGES[6:7])
    judge.server.faults = lambda change: [faults[change]] * 4 if change in faults else []
    asked = judge.ask()
    none = ['no choices in {"choices": null, "usage": {"prompt_tokens": 9}}', 'no choices in {"choices": []}']
    why = ["upstream", "busy", *none, "finish_reason error", "lost"]
    assert asked.failures == {change: f"200: {each}" for change, each in zip(faults, why, strict=True)}
    assert len(asked.answers) == 14
    again = judge.ask()
    assert (again.kept, len(again.answers), again.failures) == (14, 20, {})


def test_an_error_with_status_200_means_what_its_code_says(judge, monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-secret")
    judge.server.faults = lambda change: [json_body({"error": {"code": 401, "message": "no sk-secret"}})] * 9
    assert "does not take the key in A_KEY (200: no ***)" in judge.refused(api_key_env="A_KEY")
    assert len(judge.server.requests) == 1


# Gemini's server passes on names of its own
@pytest.mark.parametrize("end", ["length", "content_filter", "MAX_TOKENS", "SAFETY", "RECITATION", "tool_calls"])
@pytest.mark.parametrize("content", [None, "", "<think>Maybe", [{"type": "thinking", "thinking": "Maybe"}]])
def test_an_answer_cut_off_before_its_first_word_is_none(judge, end, content):
    judge.server.faults = only(CHANGES[0], completion({"content": content, "reasoning": '{"verdict": "fluent"}'}, end))
    asked = judge.ask(CHANGES[:3])
    assert asked.failures == {CHANGES[0]: f"200: finish_reason {end}, and no text"}
    assert len(asked.answers) == 2
    assert judge.waits == []  # it would end so again
    assert judge.ask(CHANGES[:3]).failures == {}


def test_an_answer_cut_off_before_its_first_word_may_be_paid_for(judge):
    judge.server.faults = lambda change: [completion({"content": ""}, "length")]
    judge.ask(max_calls=5, concurrency=1)
    assert len(judge.server.requests) == 5


def test_an_answer_with_other_words_or_none_is_kept_as_it_is(judge):
    messages = [{"content": "cut"}, {"content": None}, {"content": None, "refusal": "I can't."}, None]
    faults = {
        change: completion(message, end)
        for change, message, end in zip(CHANGES, messages, ["length", "stop", "content_filter", None], strict=False)
    }
    judge.server.faults = lambda change: [faults[change]]
    answers = judge.ask(CHANGES[:4]).answers
    assert [text(answers[change]["choices"][0]) for change in CHANGES[:4]] == ["cut", "", "I can't.", ""]


@pytest.mark.parametrize(
    "names", [["seed"], ["logprobs", "seed"], ["response_format", "logprobs", "temperature", "seed"]]
)
def test_what_a_server_does_not_take_is_left_out_and_told(judge, names):
    judge.server.refuses = tuple(names)
    asked = judge.ask()
    assert asked.refused == set(names)
    assert len(asked.answers) == 20
    assert len(judge.server.requests) == 20 + len(names)  # the first change found out
    assert not set(names) & set(judge.server.requests[-1])
    assert ("top_logprobs" in judge.server.requests[-1]) == ("logprobs" not in names)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (400, "{} is not supported"),
        (403, "You are not allowed to request {} from this model"),
        (404, "No endpoints found that support {}"),
        (422, "{}: extra fields not permitted"),
        (500, "this model has no {}"),
        (501, "{}: not implemented"),
        (200, "No endpoints found that support {}"),
    ],
)
@pytest.mark.parametrize("name", ["response_format", "logprobs", "temperature", "seed"])
def test_however_a_server_says_what_it_does_not_take_it_is_left_out(judge, monkeypatch, code, words, name):
    monkeypatch.setenv("A_KEY", "sk-secret")
    judge.server.refuses = (name,)
    judge.server.refusal = lambda name: json_body(
        {"error": {"message": words.format(name), "code": code if code != 200 else 404}}, code
    )
    asked = judge.ask(api_key_env="A_KEY")
    assert (asked.refused, asked.failures) == ({name}, {})
    assert len(judge.server.requests) == 21
    assert judge.waits == []  # no use to try the same again


def test_a_server_that_has_another_name_for_an_option_is_understood(judge):
    judge.server.refuses = ("response_format",)
    judge.server.refusal = lambda name: status(400, "JSON mode is not enabled for models/judge-1")
    assert judge.ask(CHANGES[:2]).refused == {"response_format"}


def test_a_word_of_the_sentence_in_an_error_does_not_leave_out_an_option(judge):
    changes = [(f"The {word} rise.", f"The {word} rises.") for word in ("temperature", "seed", "structured plan")]
    changes = [*CHANGES[:1], *changes, *CHANGES[1:]]
    judge.server.faults = lambda change: [status(400, f"can't judge {change[0]!r}")] * 9 if "rise" in change[0] else []
    asked = judge.ask(changes)
    assert asked.refused == set()
    assert asked.failures == {change: f"400: can't judge {change[0]!r}" for change in changes[1:4]}
    others = [its for its in judge.server.requests if change_of(its) in CHANGES]
    assert all({"temperature", "seed", "response_format"} <= its.keys() for its in others)


def test_a_word_of_the_sentence_in_an_error_that_passes_does_not_leave_out_an_option(judge):
    change = ("Sow seed.", "Sow a seed.")
    judge.server.faults = lambda asked: [status(500, f"crashed at {change[0]!r}")] if asked == change else []
    assert (len(judge.ask([change]).answers), judge.ask([change, *CHANGES]).refused) == (1, set())
    judge.server.tried.clear()
    asked = judge.ask([change, *CHANGES], seed=1)
    assert (len(asked.answers), asked.refused) == (21, set())


def test_an_option_that_the_sentence_names_and_the_server_refuses_costs_no_answer(judge):
    judge.server.refuses = ("seed",)
    change = ("Sow seed.", "Sow a seed.")
    assert judge.ask([change]).answers.keys() == {change}


def test_an_error_that_names_all_options_and_means_none_leaves_out_none(judge):
    judge.ask(CHANGES[:1])
    whole = "input: response_format, logprobs, temperature, seed"
    judge.server.faults = only(CHANGES[1], *[status(422, whole)] * 9)
    asked = judge.ask()
    assert (asked.refused, asked.failures) == (set(), {CHANGES[1]: f"422: {whole}"})


@pytest.mark.parametrize("option", [{"top_logprobs": 20}, {"response_format": {"type": "json_object"}}])
def test_what_a_user_asks_for_is_never_left_out(judge, option):
    judge.server.refuses = tuple(option)
    asked = judge.ask(CHANGES[:2], options=option)
    assert len(asked.failures) == 2
    assert all(request.items() >= option.items() for request in judge.server.requests)
