"""A language model's answers on disk, each as it came: none is paid for twice, and reading them anew costs nothing."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fluency.edits.forms import Change
from fluency.sources.data import local_path
from fluency.utils.errors import UserError
from fluency.utils.processes import locked


def answers_folder() -> Path:
    """Where answers are: outside DVC's outputs, which are deleted before a stage runs, and shared by experiments."""
    return local_path(".answers")


class AnswerCache:
    """The responses of one model to one prompt, by change, in a file of JSON lines that only grows.

    A line is written whole as soon as its answer is there. What a killed process left of a line is passed over. Memory
    holds where a line begins, not what it says.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._places: dict[str, int] = {}
        place, line = file.seek(0), b"\n"
        for line in file:
            try:
                record = json.loads(line)
                if isinstance(record["response"], dict):
                    self._places[record["change"]] = place
            except (ValueError, TypeError, KeyError):
                pass
            place += len(line)
        if not line.endswith(b"\n"):
            file.write(b"\n")

    def __contains__(self, change: Change) -> bool:
        return digest(change) in self._places

    def get(self, change: Change) -> dict[str, Any]:
        """The response about a change that has one."""
        self._file.seek(self._places[digest(change)])
        return json.loads(self._file.readline())["response"]

    def add(self, change: Change, response: dict[str, Any]) -> None:
        """Keep a response, on disk when this returns."""
        record = {"change": digest(change), "response": response}
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()
        self._places[record["change"]] = place


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
        yield AnswerCache(file)


def digest(value: Any) -> str:
    """A name of any JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
