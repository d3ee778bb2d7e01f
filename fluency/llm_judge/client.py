"""A language model as judge, behind any server that speaks OpenAI's protocol: asks about changes, keeps every answer.

The openai package sends, waits and tries again. Here is decided how long a try may take, what may be paid for, what is
no answer, what a server need not understand, and when to stop.
"""

import asyncio
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
from openai import APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient, OpenAIError
from tqdm import tqdm

from fluency.edits.forms import Change
from fluency.llm_judge.cache import AnswerCache, digest
from fluency.llm_judge.params import EXTRAS, LLMParams
from fluency.llm_judge.prompt import RESPONSE_FORMAT, cut_off, message, text, without_draft
from fluency.utils.errors import UserError

_IN_A_ROW = 10  # changes without an answer, after which the rest is spared; the first will do if there never was one
# What a server may refuse to take, and how it says so: Gemini's knows no seed, few of its models give
# log-probabilities, and models that reason take no temperature.
_REFUSABLE = {
    "response_format": r"response.?(format|schema)|json.?(schema|mode)|structured",
    "logprobs": r"logprobs",
    "temperature": r"\btemperature\b",
    "seed": r"\bseed\b",
}
_REFUSALS = (400, 403, 404, 422, 500, 501)
# The statuses of what comes with status 200 and is no answer; the package repeats only the first.
_FAILED, _NO_TEXT, _NO_COMPLETION = 502, 422, 406


def options(params: LLMParams) -> dict[str, Any]:
    """What is sent beside the prompt, as far as the server takes it: arguments of the openai package."""
    extras = {name: params.options.get(name, {}) for name in EXTRAS}
    others = {name: value for name, value in params.options.items() if name not in EXTRAS}
    sampling = {"temperature": params.temperature, "seed": params.seed, "logprobs": True, "top_logprobs": 5}
    extras["extra_body"] = others | extras["extra_body"]  # so that any name will do
    return {"response_format": RESPONSE_FORMAT, **sampling, **extras}


def ask(changes: Sequence[Change], cache: AnswerCache, params: LLMParams) -> "Asking":
    """Ask about each of the different `changes` that has no answer in `cache`, and keep there what is answered.

    Raises:
        UserError: there is no key, the server doesn't take it or doesn't know the model, or it gives no answers (any
            more); those that it gave are kept.
    """
    # In no order of the corpus, so that those within a budget are a sample of all, and the same each time.
    missing = sorted((change for change in changes if change not in cache), key=digest)
    asking = Asking(params, cache, kept=len(changes) - len(missing))
    budget = math.inf if params.max_calls is None else params.max_calls - asking.kept
    if missing and budget > 0:
        with tqdm(total=len(changes), initial=asking.kept, desc=params.model, unit="pair", disable=None) as bar:
            asyncio.run(asking.ask(missing, _key(params), budget, bar))
    return asking


def _key(params: LLMParams) -> str:
    if params.api_key_env is None:
        return "no-key-needed"  # the client insists on one
    key = "".join(os.environ.get(params.api_key_env, "").split())  # an error would show one with a line break
    if not key or not key.isascii():
        raise UserError(
            f"llm.api_key_env: {params.api_key_env} {'holds no key' if key else 'is not set'}; export it with the key "
            f"for {params.base_url}, or set llm.api_key_env=null where none is needed"
        )
    return key


class _SpentError(OpenAIError):
    """The budget is used up. As an error of the client's own kind, it is passed on and not tried again."""


class _Wire(DefaultAsyncHttpxClient):
    """Sends each try of each call, within the time limit and the budget; a failure gets the status that says so.

    The client's own time limit is for each silence; a server that keeps the line alive would never meet it.
    """

    def __init__(self, seconds: float, budget: float) -> None:
        super().__init__(timeout=None)
        self._seconds, self._budget = seconds, budget

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if self._budget < 1:
            raise _SpentError
        self._budget -= 1
        try:
            async with asyncio.timeout(self._seconds):
                response = await super().send(request, **options)
        except TimeoutError:
            raise httpx2.ReadTimeout(f"no answer within {self._seconds:g} s", request=request) from None
        if response.is_success and (failure := _failure(response.content)):
            status, why = failure
            error, came = {"error": {"message": why}}, {"status": response.status_code}
            response = httpx2.Response(status, json=error, request=request, extensions=came)
            self._budget -= status == _NO_TEXT
        if response.is_error:
            self._budget += 1  # a refusal isn't billed; what breaks off, takes too long or has no text may be
        if _refused(response):
            response.headers["x-should-retry"] = "false"
        return response


def _failure(content: bytes) -> tuple[int, str] | None:
    """Why the body of a response with status 200 holds no answer, behind the status that says so; None if it does."""
    try:
        body = json.loads(content)
        choice = (body.get("choices") or [{}])[0]
        end, error = choice.get("finish_reason"), body.get("error") or choice.get("error")
        words = without_draft(text(choice)).strip()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _NO_COMPLETION, "the response is no chat completion"
    if error or end == "error" or not choice:
        error = error if isinstance(error, dict) else {"message": error}
        why = error.get("message") or (f"finish_reason {end}" if choice else f"no choices in {content.decode()[:150]}")
        return error["code"] if error.get("code") in range(400, 600) else _FAILED, str(why)
    return (_NO_TEXT, f"finish_reason {end}, and no text") if cut_off(choice) and not words else None


def _refused(response: httpx2.Response) -> set[str]:
    """What of that which was sent the server says it doesn't take."""
    if response.status_code not in _REFUSALS:
        return set()
    return {name for name in _named(response.text) if name in json.loads(response.request.content)}


def _named(told: str) -> set[str]:
    return {name for name, pattern in _REFUSABLE.items() if re.search(pattern, told, re.IGNORECASE)}


class Asking:
    """Asks about changes, and what came of it.

    Attributes:
        kept: how many had an answer of an earlier run.
        failures: why some have none; the others without one are beyond the budget.
        refused: what the server does not take and is asked without.
    """

    def __init__(self, params: LLMParams, cache: AnswerCache, kept: int) -> None:
        self.kept = kept
        self.failures: dict[Change, str] = {}
        self.refused: set[str] = set()
        self._params, self._cache = params, cache
        self._answers, self._in_a_row = kept, 0
        self._stop: str | None = None

    async def ask(self, changes: list[Change], key: str, budget: float, bar: tqdm) -> None:
        """Ask about `changes`, several at once; the first alone, as it finds out what the server takes."""
        params, self._key, self._bar = self._params, key, bar
        wire = _Wire(params.timeout, budget)
        async with AsyncOpenAI(
            api_key=key, base_url=params.base_url, max_retries=params.retries, http_client=wire
        ) as self._client:
            waiting = iter(changes)
            await self._ask_each(iter([next(waiting)]))
            await asyncio.gather(*(self._ask_each(waiting) for _ in range(params.concurrency)))
        if self._stop:
            kept = f"; the {self._answers} answers so far are kept" if self._answers else ""
            raise UserError(f"{self._stop}{kept}")

    async def _ask_each(self, waiting: Iterator[Change]) -> None:
        for change in waiting:
            if self._stop:
                return  # the others end what they have begun: it may be paid for
            try:
                self._cache.add(change, await self._response(change))
            except _SpentError:
                return
            except (OpenAIError, ValueError) as error:
                self._note(change, error)
            else:
                self._answers += 1
                self._in_a_row = 0
            self._bar.update()

    async def _response(self, change: Change) -> dict[str, Any]:
        """The server's response, asked without what it refuses; what it answers without is left out from then on.

        But for what the sentence names too: the server may have repeated that, and refused something else.
        """
        sent, prompt = options(self._params), [{"role": "user", "content": message(change)}]
        left_out = set(self.refused)
        while True:
            taken = {name: value for name, value in sent.items() if name.removeprefix("top_") not in left_out}
            try:
                raw = await self._client.chat.completions.with_raw_response.create(
                    model=self._params.model, messages=prompt, **taken
                )
            except APIStatusError as error:
                if not (named := _refused(error.response) - left_out):
                    raise
                left_out |= named
            else:
                self.refused |= left_out - _named(" ".join(change))
                return json.loads(raw.http_response.content)

    def _note(self, change: Change, error: Exception) -> None:
        """Note why a change has no answer, and whether that is reason to stop."""
        server, variable = self._params.base_url, self._params.api_key_env
        status = getattr(error, "status_code", None)
        why = self.failures[change] = _told(error).replace(self._key, "***")
        self._in_a_row += 1
        if status in (401, 403) or (status == 400 and re.search(r"api.?key", why, re.IGNORECASE)):
            refusal = f"does not take the key in {variable}" if variable else "wants a key, and null names no variable"
            self._stop = f"llm.api_key_env: {server} {refusal} ({why})"
        elif status == 404:
            self._stop = f"llm.model: {server} has no {self._params.model} ({why}); check it, and llm.base_url"
        elif self._in_a_row >= _IN_A_ROW or (not self._answers and status not in (400, 413, 422)):
            self._stop = f"llm.base_url: {server} gives no answers ({why}); check it, or run again later"


def _told(error: Exception) -> str:
    """An error in one line, in the server's words where it has some."""
    if not isinstance(error, APIStatusError):
        return str(error.__cause__ or error)
    told = error.response.text
    if found := re.search(r'"message"\s*:\s*"((?:[^"\\]|\\.)*)"', told):
        told = found[1].replace('\\"', '"')
    return f"{error.response.extensions.get('status', error.status_code)}: {' '.join(told.split())[:200]}"
