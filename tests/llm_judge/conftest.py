"""A server on loopback that is asked about changes as the judge asks."""

from dataclasses import dataclass, replace

import anyio
import pytest

from fluency.llm_judge.cache import opened
from fluency.llm_judge.client import ask, options
from fluency.llm_judge.params import LLMParams
from fluency.params import load_params
from fluency.utils.errors import UserError
from tests.helpers.chat import ChatServer

CHANGES = [(f"She go home {n}.", f"She goes home {n}.") for n in range(20)]


def only(change, *faults):
    """Faults of that change alone."""
    return lambda asked: list(faults) if asked == change else []


@dataclass
class Asked:
    """What came of asking: the responses that there are, and what `ask` says."""

    answers: dict
    kept: int
    failures: dict
    refused: set


class Judge:
    """A server, the params to ask it with, and the folder of answers."""

    def __init__(self, server: ChatServer, params: LLMParams, folder) -> None:
        self.server, self.params, self.folder = server, params, folder
        self.waits: list[float] = []  # the seconds that the client waited before it tried again

    def ask(self, changes=CHANGES, **changed) -> Asked:
        params, changes = replace(self.params, **changed), list(dict.fromkeys(changes))
        with opened(self.folder, params.model, [params.base_url, options(params)]) as cache:
            asked = ask(changes, cache, params)
            answers = {change: cache.get(change) for change in changes if change in cache}
        return Asked(answers, asked.kept, asked.failures, asked.refused)

    def refused(self, changes=CHANGES, **changed) -> str:
        """Ask where that must end in an error; returns its one line."""
        with pytest.raises(UserError) as error:
            self.ask(changes, **changed)
        assert "\n" not in str(error.value)
        return str(error.value)


@pytest.fixture
def judge(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ChatServer() as server:
        params = replace(
            load_params().llm, model="judge-1", base_url=server.url, api_key_env=None, timeout=30.0, retries=3
        )
        judge = Judge(server, params, tmp_path / "answers")

        async def wait(seconds: float) -> None:
            judge.waits.append(seconds)

        monkeypatch.setattr(anyio, "sleep", wait)  # with which the client waits
        yield judge
