"""A peer is a baseline by its name: off by default, told in a line where it is missing, shown beside the others."""

import json
import sys
from types import ModuleType

import pytest

from fluency.baselines.params import PEERS
from fluency.baselines.peers import SCORES, THRESHOLD, harper
from fluency.utils.errors import UserError

PAIRS = [
    {"before": "She go home.", "after": "She goes home."},
    {"before": "She goes home.", "after": "She goes to home."},
    {"before": "I saw the the dog.", "after": "I saw the dog."},
    {"before": "I saw the dog.", "after": "I saw the the dog."},
    {"before": "I saw the the dog.", "after": "I saw the the the the dog."},
]
# What of the package is used: a problem is a word that stands twice.
STAND_IN = """
class Language:
    PLAINTEXT = "plaintext"

class Linter:
    def lint(self, text, language=None):
        words = text.split()
        return [word for word, following in zip(words, words[1:]) if word == following]
"""


def test_every_name_has_its_scores():
    assert tuple(SCORES) == PEERS


def test_an_edit_is_accepted_where_the_number_of_problems_does_not_rise(monkeypatch):
    module = ModuleType("harper")
    exec(STAND_IN, vars(module))  # noqa: S102
    monkeypatch.setitem(sys.modules, "harper", module)
    found = harper(PAIRS)
    assert found.tolist() == [0.5, 0.5, 0.75, 0.25, pytest.approx(1 / 6)]
    assert (found >= THRESHOLD).tolist() == [True, True, True, False, False]


def test_the_package_itself_finds_a_word_that_stands_twice():
    pytest.importorskip("harper", reason="harper is not installed; pip install harper-py==0.2.0")
    assert (harper(PAIRS[2:4]) >= THRESHOLD).tolist() == [True, False]


def test_a_peer_that_is_not_installed_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "harper", None)
    with pytest.raises(UserError, match=r"baseline.peers: harper is not installed; pip install harper-py==\d"):
        harper(PAIRS)


def test_a_peer_stands_beside_the_baselines_and_changes_none_of_them(trained_project):
    folder = trained_project.folder
    before = json.loads((folder / "metrics/baseline.json").read_text(encoding="utf-8"))
    (folder / "../peers").mkdir()
    (folder / "../peers/harper.py").write_text(STAND_IN, encoding="utf-8")
    trained_project.override(**{"baseline.peers": "[harper]"})
    trained_project.run("dvc repro", PYTHONPATH="../peers")
    figures = json.loads((folder / "metrics/baseline.json").read_text(encoding="utf-8"))
    assert {name: its for name, its in figures.items() if name != "harper"} == before
    assert figures["harper"]["operating_point"]["threshold"] == THRESHOLD
    assert '<th scope="col">harper</th>' in (folder / "results/report.html").read_text(encoding="utf-8")
    compared = trained_project.run("python -m fluency compare results/baseline/harper.parquet workspace")
    assert "Differences are workspace less results/baseline/harper.parquet" in compared
    assert "| harper |" in trained_project.run("python -m fluency summary")
