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


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (("average_precision",), "average precision"),
        (("precision_at_recall", "0.8"), "precision at recall 0.8"),
        (("operating_point", "precision"), "precision at the operating point"),
        (("operating_point", "recall"), "recall at the operating point"),
        (("parts", "contrast", "average_precision"), "average precision of contrast"),
    ],
)
def test_a_loss_of_a_figure_fails_and_what_chance_does_passes(tmp_path, path, named):
    old = written(tmp_path / "old")
    assert losses(old, written(tmp_path / "same")) == []
    assert losses(old, written(tmp_path / "chance", changed(TEST, *path, by=-0.003))) == []
    assert losses(old, written(tmp_path / "loss", changed(TEST, *path, by=-0.04))) == [named]
    assert losses(old, written(tmp_path / "gain", changed(TEST, *path, by=0.005))) == []


def test_twice_the_wrong_accepts_fail(tmp_path):
    """Precision from 0.98 to 0.96, whatever it is now."""
    point = TEST["operating_point"]["precision"]
    before, worse = (changed(TEST, "operating_point", "precision", by=value - point) for value in (0.98, 0.96))
    found = losses(written(tmp_path / "old", before), written(tmp_path / "new", worse))
    assert found == ["precision at the operating point"]


@pytest.mark.parametrize("role", CHALLENGE)
def test_a_loss_on_the_challenge_set_fails(tmp_path, role):
    worse = written(tmp_path / "new", challenge=changed(CHALLENGE, role, "rate", by=0.07))
    assert losses(written(tmp_path / "old"), worse) == [f"challenge set, {role}: decided rightly"]


@pytest.mark.parametrize("kind", ATTACK)
def test_more_nonsense_accepted_fails(tmp_path, kind):
    worse = written(tmp_path / "new", attack=changed(ATTACK, kind, "rate", by=0.03))
    assert losses(written(tmp_path / "old"), worse) == [f"nonsense refused, {kind}"]


def test_a_part_that_is_gone_fails(tmp_path):
    fewer = copy.deepcopy(TEST)
    del fewer["parts"]["short"]
    found = losses(written(tmp_path / "old"), written(tmp_path / "new", fewer))
    assert found == ["average precision of short"]
