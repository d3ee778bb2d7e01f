"""A peer is a baseline by its name: off by default, told in a line where it is missing, shown beside the others."""

import json
from importlib.metadata import version

import pytest

from fluency.baselines.params import PEERS
from fluency.baselines.peers import SCORES, THRESHOLD, harper

PAIRS = [
    {"before": "She goes home.", "after": "She goes to home."},
    {"before": "I saw the the dog.", "after": "I saw the dog."},
    {"before": "I saw the dog.", "after": "I saw the the dog."},
    {"before": "I saw the dog.", "after": "I saw the the the the dog."},
]


def test_every_name_has_its_scores():
    assert tuple(SCORES) == PEERS


def test_an_edit_is_accepted_where_the_number_of_problems_does_not_rise():
    found = harper(PAIRS)
    assert found.tolist() == [0.5, 0.75, 0.25, pytest.approx(1 / 6)]
    assert (found >= THRESHOLD).tolist() == [True, True, False, False]


def test_a_peer_that_is_not_installed_is_told_with_the_remedy_before_anything_is_computed(trained_project):
    (trained_project.folder / "../without").mkdir()
    (trained_project.folder / "../without/harper.py").write_text("raise ImportError", encoding="utf-8")
    trained_project.override(**{"baseline.peers": "[harper]"})
    trained_project.run("rm -r data/encoded")  # which the baselines are computed from
    printed = trained_project.run("python -m stages.baseline", fails=True, PYTHONPATH="../without")
    remedy = f"pip install harper-py=={version('harper-py')}"
    assert printed == f"error: baseline.peers: harper is not installed; {remedy}\n"


def test_a_peer_stands_beside_the_baselines_and_changes_none_of_them(trained_project):
    folder = trained_project.folder
    before = json.loads((folder / "metrics/baseline.json").read_text(encoding="utf-8"))
    trained_project.override(**{"baseline.peers": "[harper]"})
    trained_project.run("dvc repro")
    figures = json.loads((folder / "metrics/baseline.json").read_text(encoding="utf-8"))
    assert {name: its for name, its in figures.items() if name != "harper"} == before
    assert figures["harper"]["operating_point"]["threshold"] == THRESHOLD
    assert ">harper</th>" in (folder / "results/report.html").read_text(encoding="utf-8")
    compared = trained_project.run("python -m fluency compare results/baseline/harper.parquet workspace")
    assert "Differences are workspace less results/baseline/harper.parquet" in compared
    assert "| harper |" in trained_project.run("python -m fluency summary")
