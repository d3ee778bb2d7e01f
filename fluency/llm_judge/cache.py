"""A language model's answers on disk, each as it came: none is paid for twice, and reading them anew costs nothing."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fluency.edits.forms import Change
from fluency.utils.errors import UserError
from fluency.utils.processes import locked


@dataclass(frozen=True)
class Answer:
    """What a model said of one change.

    Attributes:
        text: the message, whatever it is.
        model: the model that answered, by the server's name for it.
        logprobs: for each token of `text`, the token and the log-probabilities of it and of others in its place; empty
            where the server gives none.
        tokens_in, tokens_out: what is billed; None where the server doesn't say.
    """

    text: str
    model: str
    logprobs: list[tuple[str, Mapping[str, float]]]
    tokens_in: int | None
    tokens_out: int | None


class AnswerCache:
    """The answers of one model to one prompt, by change, in a file of JSON lines that only grows.

    A line is written whole as soon as its answer is there. What a killed process left of a line is passed over.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._answers: dict[str, Answer] = {}
        file.seek(0)
        line = b"\n"
        for line in file:
            try:
                record = json.loads(line)
                change = record.pop("change")
                self._answers[change] = Answer(**record)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        if not line.endswith(b"\n"):
            file.write(b"\n")

    def get(self, change: Change) -> Answer | None:
        """The answer to `change`, if there is one."""
        return self._answers.get(digest(change))

    def add(self, change: Change, answer: Answer) -> None:
        """Keep an answer, on disk when this returns."""
        record = {"change": digest(change), **asdict(answer)}
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()
        self._answers[record["change"]] = answer


@contextmanager
def opened(folder: Path, model: str, settings: Any) -> Iterator[AnswerCache]:
    """Open the answers of `model` under `settings`, whatever changes an answer: the prompt, the server and the like.

    Raises:
        UserError: another process has them open.
    """
    name = "".join(char if char.isalnum() or char in "-." else "-" for char in model)[-80:].lstrip(".")
    path = folder / f"{name}-{digest([model, settings])}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = locked(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    if descriptor is None:
        raise UserError(f"{path}: another run is asking this model already; wait for it, or stop it")
    with os.fdopen(descriptor, "a+b") as file:
        yield AnswerCache(path, file)


def digest(value: Any) -> str:
    """A name of any JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
