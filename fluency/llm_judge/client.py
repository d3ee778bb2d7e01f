"""A language model as judge, behind any server that speaks OpenAI's protocol: asks about changes, keeps every answer.

The openai package sends, waits and tries again. Here is decided how long a try may take, what may be paid for, what a
server need not understand, and when to stop.
"""

import asyncio
import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from openai import APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient, OpenAIError
from tqdm import tqdm

from fluency.edits.forms import Change
from fluency.llm_judge.cache import Answer, AnswerCache, digest, opened
from fluency.llm_judge.params import LLMParams
from fluency.llm_judge.prompt import RESPONSE_FORMAT, message
from fluency.utils.errors import UserError

_IN_A_ROW = 10  # changes without an answer, after which the rest is spared; the first will do if there never was one
_TOP_LOGPROBS = 5
# What a server may refuse to take, and how it says so: Gemini's knows no seed, few of its models give
# log-probabilities, and models that reason take no temperature.
_REFUSABLE = {
    "response_format": r"response.?(format|schema)|json.?schema|structured",
    "logprobs": r"logprobs",
    "temperature": r"\btemperature\b",
    "seed": r"\bseed\b",
}


@dataclass(frozen=True)
class Asked:
    """What came of asking about changes.

    Attributes:
        answers: by change; the rest has none.
        kept: how many of them have one of an earlier run.
        failures: why some of the rest have none; the others are beyond the budget.
        refused: what the server does not take and was asked without.
    """

    answers: dict[Change, Answer]
    kept: int
    failures: dict[Change, str]
    refused: list[str]


def ask(changes: Iterable[Change], params: LLMParams, folder: Path) -> Asked:
    """Ask about each change once; answers that `folder` has are not asked for again, and new ones go there.

    Raises:
        UserError: there is no key, the server doesn't take it or doesn't know the model, or it gives no answers (any
            more); those that it gave are kept.
    """
    changes = list(dict.fromkeys(changes))
    settings = [params.base_url, params.temperature, params.seed, _TOP_LOGPROBS, RESPONSE_FORMAT, message(("", ""))]
    with opened(folder, params.model, settings) as cache:
        # In no order of the corpus, so that those within a budget are a sample of all, and the same each time.
        missing = sorted((change for change in changes if not cache.get(change)), key=digest)
        kept = len(changes) - len(missing)
        budget = math.inf if params.max_calls is None else params.max_calls - kept
        run = _Run(params, cache, kept)
        if missing and budget > 0:
            with tqdm(total=len(changes), initial=kept, desc=params.model, unit="pair", disable=None) as run.bar:
                asyncio.run(run.ask(missing, _key(params), budget))
        answers = {change: answer for change in changes if (answer := cache.get(change))}
    return Asked(answers, kept, run.failures, [name for name in _REFUSABLE if name not in run.options])


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
    """Sends each try of each call, within the time limit and the budget.

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
        if response.is_error:
            self._budget += 1  # a refusal isn't billed; what breaks off or takes too long may be
        return response


class _Run:
    """One run of asking: what it sends, what failed, and whether to go on.

    Attributes:
        options: what is sent with a change, as far as the server takes it.
        failures: why changes have no answer.
    """

    bar: tqdm

    def __init__(self, params: LLMParams, cache: AnswerCache, answers: int) -> None:
        self.options: dict[str, dict[str, Any]] = {
            "response_format": {"response_format": RESPONSE_FORMAT},
            "logprobs": {"logprobs": True, "top_logprobs": _TOP_LOGPROBS},
            "temperature": {"temperature": params.temperature},
            "seed": {"seed": params.seed},
        }
        self.failures: dict[Change, str] = {}
        self._params, self._cache = params, cache
        self._answers, self._in_a_row = answers, 0
        self._stop: str | None = None

    async def ask(self, changes: list[Change], key: str, budget: float) -> None:
        """Ask about `changes`, several at once; the first alone, as it finds out what the server takes."""
        params = self._params
        self._key = key
        async with AsyncOpenAI(
            api_key=key,
            base_url=params.base_url,
            max_retries=params.retries,
            http_client=_Wire(params.timeout, budget),
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
                self._cache.add(change, await self._answer(change))
            except _SpentError:
                return
            except (OpenAIError, ValueError) as error:
                self._note(change, error)
            else:
                self._answers += 1
                self._in_a_row = 0
            self.bar.update()

    async def _answer(self, change: Change) -> Answer:
        while True:
            sent = dict(self.options)
            options = {key: value for option in sent.values() for key, value in option.items()}
            prompt = [{"role": "user", "content": message(change)}]
            try:
                raw = await self._client.chat.completions.with_raw_response.create(
                    model=self._params.model, messages=prompt, **options
                )
                return _as_answer(raw.http_response.content)
            except APIStatusError as error:
                named = [name for name in sent if re.search(_REFUSABLE[name], error.response.text, re.IGNORECASE)]
                if error.status_code not in (400, 422) or not named:
                    raise
                for name in named:
                    self.options.pop(name, None)

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


def _as_answer(content: bytes) -> Answer:
    """The answer in a response's body, of which nothing is certain."""
    try:
        body = json.loads(content)
        choice = body["choices"][0] if body["choices"] else {}
        said, usage = choice.get("message") or {}, body.get("usage") or {}
        text = said.get("content") or said.get("refusal") or ""
        read, written, total = (usage.get(f"{name}_tokens") for name in ("prompt", "completion", "total"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("the response is no chat completion") from None
    if isinstance(read, int) and isinstance(total, int):
        written = total - read  # some count what a model thinks, and bill, in the total alone
    return Answer(
        text=text if isinstance(text, str) else json.dumps(text),
        model=str(body.get("model")),
        logprobs=_logprobs(choice),
        tokens_in=read if isinstance(read, int) else None,
        tokens_out=written if isinstance(written, int) else None,
    )


def _logprobs(choice: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    try:
        return [
            (its["token"], {each["token"]: float(each["logprob"]) for each in [*(its.get("top_logprobs") or []), its]})
            for its in choice["logprobs"]["content"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def _told(error: Exception) -> str:
    """An error in one line, in the server's words where it has some."""
    if not isinstance(error, APIStatusError):
        return str(error.__cause__ or error)
    text = error.response.text
    if found := re.search(r'"message"\s*:\s*"((?:[^"\\]|\\.)*)"', text):
        text = found[1]
    return f"{error.status_code}: {' '.join(text.split())[:200]}"
