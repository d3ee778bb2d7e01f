"""What decides whether a change may land sees a loss where it is, and nothing in what chance does."""

import copy
from pathlib import Path
from typing import Any

import pytest

from fluency.utils.files import read_json, write_json
from tests.project.committed_results import losses

TEST, CHALLENGE, ATTACK = (read_json(f"metrics/{name}.json") for name in ("test", "challenge", "attack"))


def written(folder: Path, test: Any = TEST, challenge: Any = CHALLENGE, attack: Any = ATTACK) -> Path:
    for name, figures in (("test", test), ("challenge", challenge), ("attack", attack)):
        write_json(folder / f"{name}.json", figures)
    return folder


def changed(tree: dict[str, Any], *path: str, by: float) -> dict[str, Any]:
    tree = copy.deepcopy(tree)
    *levels, last = path
    inside = tree
    for level in levels:
        inside = inside[level]
    inside[last] += by
    return tree


# A figure, and a loss of it that is more than chance: how much a worse model, or a lower threshold, would cost it.
REAL = [
    (("average_precision",), "average precision", 0.002),
    (("precision_at_recall", "0.7"), "precision at recall 0.7", 0.005),
    (("precision_at_recall", "0.8"), "precision at recall 0.8", 0.005),
    (("precision_at_recall", "0.9"), "precision at recall 0.9", 0.01),
    (("operating_point", "precision"), "precision at the operating point", 0.005),
    (("operating_point", "recall"), "recall at the operating point", 0.05),
    (("parts", "contrast", "average_precision"), "average precision of contrast", 0.006),
    (("parts", "short", "average_precision"), "average precision of short", 0.006),
    (("parts", "keeping", "operating_point", "recall"), "recall of keeping", 0.06),
    (("parts", "absurd", "operating_point", "accuracy"), "refused of absurd", 0.02),
]


@pytest.mark.parametrize(("path", "named", "loss"), REAL)
def test_a_loss_of_a_figure_fails_and_what_chance_does_passes(tmp_path, path, named, loss):
    old = written(tmp_path / "old")
    assert losses(old, written(tmp_path / "same")) == []
    assert losses(old, written(tmp_path / "chance", changed(TEST, *path, by=-0.0004))) == []
    assert losses(old, written(tmp_path / "loss", changed(TEST, *path, by=-loss))) == [named]
    assert losses(old, written(tmp_path / "gain", changed(TEST, *path, by=0.001))) == []


def test_twice_the_wrong_accepts_fail(tmp_path):
    wrong = 1 - TEST["operating_point"]["precision"]
    worse = written(tmp_path / "new", changed(TEST, "operating_point", "precision", by=-wrong))
    assert losses(written(tmp_path / "old"), worse) == ["precision at the operating point"]


@pytest.mark.parametrize(("role", "loss"), [("absurd", 0.01), ("mistake", 0.02), ("repair", 0.02), ("keeping", 0.05)])
def test_a_loss_on_the_challenge_set_fails(tmp_path, role, loss):
    worse = written(tmp_path / "new", challenge=changed(CHALLENGE, role, "rate", by=loss))
    assert losses(written(tmp_path / "old"), worse) == [f"challenge set, {role}: decided rightly"]


@pytest.mark.parametrize("kind", ATTACK)
def test_more_nonsense_accepted_fails(tmp_path, kind):
    worse = written(tmp_path / "new", attack=changed(ATTACK, kind, "rate", by=0.015))
    assert losses(written(tmp_path / "old"), worse) == [f"nonsense refused, {kind}"]


def test_a_part_that_is_gone_fails(tmp_path):
    fewer = copy.deepcopy(TEST)
    del fewer["parts"]["short"]
    found = losses(written(tmp_path / "old"), written(tmp_path / "new", fewer))
    assert found == ["average precision of short"]
