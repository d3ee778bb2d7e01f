"""Scoring tables with an untrained model, as the command does."""

from pathlib import Path

import pytest

from fluency import FluencyScorer
from fluency.cli.commands import main
from tests.helpers.models import untrained


@pytest.fixture(scope="module")
def models(tiny_model, tmp_path_factory) -> Path:
    """A models/ folder as the pipeline leaves it, with an untrained model."""
    return untrained(tiny_model, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def scorer(models) -> FluencyScorer:
    return FluencyScorer.load(models / "fluency", bf16=False)


@pytest.fixture
def run(models, scorer, tmp_path, monkeypatch, capfdbinary):
    """Runs the command in an empty folder; returns what it wrote to standard output and error."""
    (tmp_path / "models").symlink_to(models)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FluencyScorer, "load", lambda *_, **__: scorer)
    monkeypatch.setattr(FluencyScorer, "at_once", 16)

    def run(*arguments: str) -> tuple[bytes, str]:
        main(["score", *arguments])
        out, err = capfdbinary.readouterr()
        return out, err.decode()

    return run


@pytest.fixture
def refused(run):
    """Runs the command, which has to fail in one line and to leave no output; returns the line."""

    def refused(*arguments: str) -> str:
        before = sorted(Path().rglob("*"))
        with pytest.raises(SystemExit) as stop:
            run(*arguments)
        assert sorted(Path().rglob("*")) == before
        line = str(stop.value)
        assert line.startswith("error: ")
        assert "\n" not in line
        return line

    return refused
