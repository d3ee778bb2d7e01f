"""What metrics/*.json hold is finite, complete and of the right pairs, in slices and checks too."""

import numpy as np
import pytest

from fluency.evaluation.behaviour import checked_changes, checks
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.scored_pairs import ScoredPairs, at_thresholds, figures, nested
from fluency.evaluation.slices import COLUMNS, sentence_keys, slices
from fluency.utils.errors import UserError

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
    named = ("precision", "recall", "f1", "accuracy", "average_precision", "roc_auc", "brier")
    assert {f"{name}_{side}" for name in named for side in ("low", "high")} <= result.keys()
    assert not {"ece_low", "log_loss_low", "0.5_low"} & (
        result.keys() | result["precision_at_recall"].keys()
    )  # none that would hold
    assert result["operating_point"].keys() >= {
        "threshold",
        "precision",
        "recall",
        "f1",
        "precision_low",
        "recall_high",
    }


def test_a_figure_of_one_has_no_interval_but_for_shares():
    """Resamples of a perfect judge are all alike, and would give 1.000 (1.000 to 1.000)."""
    pairs = [pair(row, row % 2) for row in range(12)]
    result = figures(ScoredPairs(pairs, np.arange(12) % 2 * 0.8, 0.5), PARAMS)
    assert result["f1"] == result["average_precision"] == result["operating_point"]["accuracy"] == 1
    assert not {"f1_low", "average_precision_high", "roc_auc_low"} & result.keys()
    assert "accuracy_low" not in result["operating_point"]
    assert 0.5 < result["precision_low"] < result["precision_high"] == 1


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
    rows = slices(ScoredPairs(pairs, np.array([0.9, 0.8, 0.1]), 0.5), sentence_keys(["one two ."]))
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
    assert (whole["accepted_right"], whole["accepted_wrong"]) == (1, 1)


def test_a_slice_of_one_label_has_no_precision_and_few_pairs_prove_little():
    pairs = [pair(row, 1, part="keeping") for row in range(6)] + [
        pair(row, row % 2, part="hard") for row in range(6, 40)
    ]
    rows = {(row["slice"], row["value"]): row for row in slices(ScoredPairs(pairs, np.full(40, 0.9), 0.5), set())}
    keeping, hard = rows["part", "keeping"], rows["part", "hard"]
    assert (keeping["positives"], keeping["precision"], keeping["precision_low"], keeping["precision_p"]) == (
        6,
        *[None] * 3,
    )
    assert keeping["recall"] == 1.0
    assert keeping["recall_low"] == pytest.approx(0.05 ** (1 / 3))  # six pairs in three groups
    assert hard["precision_low"] < hard["precision"] == 0.5 < hard["precision_high"]


def test_a_slice_is_worse_only_beyond_the_chance_of_many_slices():
    rng = np.random.default_rng(0)
    pairs = [pair(row, row % 2, kind=f"kind {row % 20}") | {"group": str(row)} for row in range(2000)]
    scores = np.where(rng.random(2000) < 0.9, [its["label"] for its in pairs], 0.9)
    even = slices(ScoredPairs(pairs, scores, 0.5), set())
    assert min(row["precision_p"] for row in even if row["precision_p"] is not None) > 0.05
    scores[0::20] = 0.9  # kind 0 has harm alone
    pairs[0::20] = [its | {"label": row % 2} for row, its in enumerate(pairs[0::20])]
    worse = slices(ScoredPairs(pairs, scores, 0.5), set())
    assert [row["value"] for row in worse if row["slice"] == "kind" and (row["precision_p"] or 1) < 0.05] == ["kind 0"]


def test_edits_that_improve_are_told_from_those_that_keep():
    pairs = [
        pair(0, 1, "a", "b"), pair(1, 0, "b", "a"), pair(2, 1, "c", "d"), pair(3, 1, "d", "c"), pair(4, 1, "e", "f"),
    ]  # fmt: skip
    rows = slices(ScoredPairs(pairs, np.array([0.9, 0.1, 0.9, 0.1, 0.9]), 0.5), set())
    found = {row["value"]: (row["examples"], row["recall"]) for row in rows if row["slice"] == "effect"}
    assert found == {"improves": (1, 1.0), "harms": (1, None), "keeps": (2, 0.5), "improves or keeps": (1, 1.0)}


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(UserError, match=r"^1 of 4 pairs have a score that is no number, the first in row 2"):
        ScoredPairs([pair(row, 1) for row in range(4)], np.array([0.5, 0.1, np.nan, 0.2]), 0.5)


def test_certified_thresholds_are_tried_on_these_pairs():
    found = at_thresholds(scored(), {0.9: 0.5, 0.95: 0.8})
    assert found["0.9"]["threshold"] == 0.5
    assert found["0.9"]["recall"] > found["0.95"]["recall"]
    assert found["0.95"]["precision_low"] <= found["0.95"]["precision"] <= found["0.95"]["precision_high"]


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
