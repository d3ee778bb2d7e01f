"""What metrics/*.json hold is finite, complete and of the right pairs, in slices and checks too."""

import numpy as np
import pytest

from fluency.evaluation.behaviour import checked_changes, checks
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.scored_pairs import ScoredPairs, figures, nested
from fluency.evaluation.slices import COLUMNS, sentence_keys, slices

PARAMS = EvaluateParams(resamples=100, seed=1)


def pair(row: int, label: int, before: str = "She go home .", after: str = "She goes home .", **columns: str) -> dict:
    described = {"kind": "agreement", "part": "contrast", "edit_type": "replace", "corpus": "sample"} | columns
    return {"id": str(row), "group": str(row // 2), "label": label, "before": before, "after": after, **described}


def scored(count: int = 40) -> ScoredPairs:
    rng = np.random.default_rng(0)
    pairs = [pair(row, row % 2, part="contrast" if row < 10 else "hand-written") for row in range(count)]
    return ScoredPairs(pairs, rng.random(count), 0.7)


def leaves(tree: dict) -> list:
    return [leaf for value in tree.values() for leaf in (leaves(value) if isinstance(value, dict) else [value])]


def test_every_figure_stands_inside_its_interval():
    result = figures(scored(), PARAMS)
    for tree in (result, result["operating_point"], result["precision_at_recall"]):
        for name in [name for name in tree if f"{name}_low" in tree]:
            assert tree[f"{name}_low"] <= tree[name] <= tree[f"{name}_high"], name
    named = ("precision", "recall", "f1", "accuracy", "average_precision", "roc_auc", "brier", "ece")
    assert {f"{name}_{side}" for name in named for side in ("low", "high")} <= result.keys()
    assert result["operating_point"].keys() >= {
        "threshold",
        "precision",
        "recall",
        "f1",
        "precision_low",
        "recall_high",
    }


def test_parts_are_figures_of_their_own_pairs():
    result = figures(scored(), PARAMS)
    assert {name: part["examples"] for name, part in result["parts"].items()} == {"contrast": 10, "hand-written": 30}
    alone = scored().by(np.array(["a"] * 10 + ["b"] * 30))["a"]
    assert result["parts"]["contrast"]["recall"] == alone.points()["recall"]


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], [0], [1]])
def test_figures_are_finite_with_one_label_or_one_pair(labels):
    pairs = [pair(row, label) for row, label in enumerate(labels)]
    result = figures(ScoredPairs(pairs, np.full(len(pairs), 0.2), 0.5), PARAMS, uncalibrated=np.full(len(pairs), 0.1))
    assert all(np.isfinite(leaf) for leaf in leaves(result))
    assert result["operating_point"]["precision"] == 0


def test_dotted_names_become_levels():
    assert nested({"a": 1, "b.c": 2, "b.0.5": 3}) == {"a": 1, "b": {"c": 2, "0.5": 3}}


def test_slices_divide_the_pairs_each_in_its_own_way():
    pairs = [
        pair(0, 1, before="One two .", after="One two three ."),
        pair(1, 0, before=" ".join(["word"] * 25), after="Clean ."),
        pair(2, 0, before=" ".join(["word"] * 31), after="ONE  two ."),
    ]
    rows = slices(ScoredPairs(pairs, np.array([0.9, 0.8, 0.1]), 0.5), sentence_keys(["one two ."]), PARAMS)
    assert all(tuple(row) == COLUMNS for row in rows)
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        counts.setdefault(row["slice"], {})[row["value"]] = row["examples"]
    assert counts["length"] == {"01-10 words": 1, "21-30 words": 1, "over 30 words": 1}
    assert counts["in training"] == {"a sentence": 2, "no sentence": 1}
    assert all(sum(values.values()) == 3 for values in counts.values())
    assert {"corpus", "part", "edit type", "kind"} <= counts.keys()
    (whole,) = [row for row in rows if row["slice"] == "corpus"]
    assert (whole["precision"], whole["recall"]) == (0.5, 1.0)


def test_checks_ask_of_harming_edits_their_reverse_and_of_fluent_sentences_nothing():
    pairs = [
        pair(0, 0, "a", "b"),
        pair(1, 1, "b", "a"),
        pair(2, 0, "c", "d"),
        pair(3, 0, "e", "f"),
        pair(4, 0, "f", "e"),
    ]
    changes = checked_changes(pairs)
    assert set(changes) == {("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("a", "a")}  # e and f harm both ways
    scores = {("a", "b"): 0.1, ("b", "a"): 0.9, ("c", "d"): 0.4, ("d", "c"): 0.6, ("a", "a"): 0.7}
    assert checks(pairs, scores, 0.8) == {
        "direction": {"edits": 2, "ordered": 1.0, "opposite": 1.0, "opposite_at_operating_point": 0.5},
        "identity": {"sentences": 1, "accepted": 1.0, "accepted_at_operating_point": 0.0},
    }


def test_checks_of_nothing_are_zero():
    assert checks([], {}, 0.5)["direction"] == {
        "edits": 0, "ordered": 0.0, "opposite": 0.0, "opposite_at_operating_point": 0.0,
    }  # fmt: skip
