"""Attacks are the same each time, change the sentence, and are counted as the scorer decides."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fluency import FluencyScorer
from fluency.cli.commands import main
from fluency.evaluation.support import Support
from fluency.scorer.attack import KINDS, attack
from tests.helpers.tables import write

PAIRS = [
    {"before": before, "after": after, "label": label}
    for before, after, label in (
        ("the cat is very big", "the cat are very big", 0),
        ("a dog runs in the house", "a dog run in the house", 0),
        ("the cat runs", "cat the runs", 0),
        ("the dog is a cat", "the dog is the cat", 1),
    )
]
OTHERS = [pair["before"] for pair in PAIRS]


@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_changes_the_sentence_and_is_drawn_by_its_seed(kind):
    made = [KINDS[kind](OTHERS[number % 4], OTHERS, random.Random(number)) for number in range(50)]
    assert made == [KINDS[kind](OTHERS[number % 4], OTHERS, random.Random(number)) for number in range(50)]
    assert sum(after == OTHERS[number % 4] for number, after in enumerate(made)) <= 1  # any word may draw itself
    assert len(set(made)) > 8 if kind != "unrelated" else 3


def test_what_the_scorer_accepts_gets_through_and_a_chain_only_as_a_whole(scorer):
    trusting = FluencyScorer(scorer.classifier, replace(scorer.calibration, threshold=0.0))
    found = attack(trusting, PAIRS, tries=12, rounds=3, seed=1)
    assert set(found) == {*KINDS, "separated_harm", "chain", "search"}
    assert all(its["edits"] == 12 for its in found.values())
    assert found["separated_harm"]["rate"] == found["chain"]["rate"] == found["unrelated"]["rate"] == 1.0
    assert found["unrelated"]["rate_low"] == pytest.approx(0.025 ** (1 / 12))
    strict = FluencyScorer(scorer.classifier, replace(scorer.calibration, threshold=1.0))
    assert {its["rate"] for its in attack(strict, PAIRS, tries=12, rounds=3, seed=1).values()} == {0.0}
    none = Support(1.0, {"words": (0, 0), "characters": (0, 0), "changed": (0, 0), "share": (0, 0)})
    outside = FluencyScorer(scorer.classifier, replace(trusting.calibration, support=none))
    assert {its["rate"] for its in attack(outside, PAIRS, tries=12, rounds=3, seed=1).values()} == {0.0}


def test_the_best_of_a_search_counts(scorer, monkeypatch):
    """By the score alone: of three ways, one above the threshold is enough."""
    trusting = FluencyScorer(scorer.classifier, replace(scorer.calibration, threshold=0.0))
    ways = iter([False, False, True] * 4)
    monkeypatch.setattr(
        trusting,
        "decide",
        lambda changes, **_: np.array([next(ways, False) if len(changes) == 12 else True for _ in changes]),
    )
    found = attack(trusting, PAIRS, tries=4, rounds=3, seed=1)
    assert found["search"]["rate"] == 1.0


def test_the_command_writes_the_figures_and_fails_above_its_limit(tmp_path, monkeypatch, scorer, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        FluencyScorer, "load", lambda *_: FluencyScorer(scorer.classifier, replace(scorer.calibration, threshold=0.0))
    )
    Path("data/pairs").mkdir(parents=True)
    write(Path("data/pairs/test.parquet"), PAIRS)
    main(["attack", "--tries", "4", "--rounds", "2"])
    assert "| separated harm |" in capsys.readouterr().out
    assert json.loads(Path("metrics/attack.json").read_text())["unrelated"]["wrong"] == 4
    with pytest.raises(
        SystemExit, match=r"error: metrics/attack.json: 100.0% of \w+ are accepted, more than --limit 0.02"
    ):
        main(["attack", "--tries", "4", "--rounds", "2", "--limit", "0.02"])
