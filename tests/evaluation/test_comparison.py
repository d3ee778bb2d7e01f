"""Two judges are compared on the pairs that both have; what they print can be read and trusted."""

import math

import numpy as np
import pyarrow as pa
import pytest

from fluency.cli.commands import main
from fluency.evaluation.comparison import compare, sign_test
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.predictions import join, on_the_same_pairs, write_predictions
from fluency.evaluation.scored_pairs import ScoredPairs
from fluency.report.summary import comparison_text
from fluency.utils.errors import UserError
from fluency.utils.files import read_parquet, write_parquet

PARAMS = EvaluateParams(resamples=200, seed=1)


def pairs(count: int) -> list[dict]:
    return [
        {
            "id": f"id{row}", "group": str(row // 2), "label": row % 2, "part": "contrast",
            "before": f"She go `{row}` home .", "edit_start": 4, "edit_end": 6, "removed": "go", "inserted": "goes",
        }
        for row in range(count)
    ]  # fmt: skip


def scored(count: int = 200, skill: float = 1.0, threshold: float = 0.5) -> ScoredPairs:
    rows = pairs(count)
    labels = np.array([row["label"] for row in rows])
    margin = (2 * labels - 1) * skill + np.random.default_rng(int(skill * 10)).normal(size=count)
    return ScoredPairs(rows, 1 / (1 + np.exp(-margin)), threshold)


def test_a_judge_is_no_better_than_itself():
    comparison = compare(scored(), scored(), PARAMS)
    assert all(row["difference"] == 0 and row["low"] in (0, None) and not row["clear"] for row in comparison.figures)
    assert comparison.sign_test["one half"] == {"a": 0, "b": 0, "p": 1.0}
    assert comparison.disagreements == []
    assert "They disagree on 0 pairs.\n" in comparison_text(comparison, ("a", "b"), limit=5)


def test_a_better_judge_is_found_better_with_an_interval_that_leaves_out_zero():
    comparison = compare(scored(skill=0.5), scored(skill=3.0), PARAMS)
    rows = {row["figure"]: row for row in comparison.figures}
    for name in ("roc_auc", "operating_point.precision", "accuracy"):
        assert 0 < rows[name]["low"] <= rows[name]["difference"] <= rows[name]["high"]
    for name in ("average_precision", "precision_at_recall.0.8"):  # intervals would hold too seldom; the test is kept
        assert rows[name]["difference"] > 0
        assert (rows[name]["low"], rows[name]["clear"]) == (None, True)
    assert rows["brier"]["high"] < 0
    assert comparison.sign_test["one half"]["b"] > comparison.sign_test["one half"]["a"]
    assert comparison.sign_test["one half"]["p"] < 0.001


def test_equal_judges_are_seldom_found_different():
    """Two judges of equal skill: a 95 % interval of the difference leaves out 0 about one time in twenty."""
    wrong = 0
    for seed in range(200):
        labels = np.arange(400) % 2
        one, two = (
            1 / (1 + np.exp(-((2 * labels - 1) + np.random.default_rng([seed, which]).normal(size=400))))
            for which in (0, 1)
        )
        rows = pairs(400)
        (row,) = [
            row
            for row in compare(
                ScoredPairs(rows, one, 0.5), ScoredPairs(rows, two, 0.5), EvaluateParams(100, seed)
            ).figures
            if row["figure"] == "accuracy"
        ]
        wrong += not row["low"] <= 0 <= row["high"]
    assert 2 <= wrong <= 20


def test_the_sign_test_counts_groups_not_pairs():
    """Groups of two: 0 and 1, 2 and 3, ... B is right of both in two groups, of one more in a third."""
    rows = pairs(12)
    labels = np.array([row["label"] for row in rows], dtype=float)
    worse, mixed = labels.copy(), labels.copy()
    worse[:5] = 1 - worse[:5]
    mixed[6] = 1 - mixed[6]  # where A is right and B isn't
    test = compare(ScoredPairs(rows, worse, 0.5), ScoredPairs(rows, mixed, 0.5), PARAMS).sign_test["operating point"]
    assert test == {"a": 1, "b": 3, "p": pytest.approx(0.625)}
    worse[9], mixed[8] = 1 - worse[9], 1 - mixed[8]  # one each in a group: no sign
    test = compare(ScoredPairs(rows, worse, 0.5), ScoredPairs(rows, mixed, 0.5), PARAMS).sign_test["operating point"]
    assert (test["a"], test["b"]) == (1, 3)


@pytest.mark.parametrize("alike", [0.0, 0.4, 1.0])
def test_the_sign_test_finds_equal_judges_different_seldom(alike):
    wrong = 0
    for seed in range(400):
        rng = np.random.default_rng([seed, int(alike * 10)])
        rows = pairs(200)
        labels = np.arange(200) % 2
        right = rng.random((2, 100, 2)) < 0.8
        right[..., 1] = np.where(rng.random(100) < alike, right[..., 0], right[..., 1])
        one, two = (np.where(its.ravel(), labels, 1 - labels).astype(float) for its in right)
        test = sign_test(ScoredPairs(rows, one, 0.5), one > 0.5, two > 0.5)
        wrong += test["p"] <= 0.05
    assert wrong <= 32  # more than 8 % of 400 is met once in 200 times where 5 % is true


def test_the_worst_disagreements_come_first():
    rows = pairs(6)
    a = ScoredPairs(rows, np.array([0.1, 0.9, 0.2, 0.9, 0.9, 0.1]), 0.5)  # labels 0 1 0 1 0 1
    b = ScoredPairs(rows, np.array([0.6, 0.1, 0.9, 0.9, 0.1, 0.9]), 0.5)
    found = [(row["id"], row["right"]) for row in compare(a, b, PARAMS).disagreements]
    assert found == [("id2", "a"), ("id0", "a"), ("id1", "a"), ("id4", "b"), ("id5", "b")]


def test_the_markdown_shows_the_edit_whatever_is_in_it():
    text = comparison_text(compare(scored(40, 0.5), scored(40, 3.0), PARAMS), ("a|b", "workspace"), limit=3)
    assert "a\\|b" in text
    assert text.count("`` She [-go-]{+goes+} `") == 3
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in tables[:14]}) == 1


def test_predictions_are_read_back_as_they_were_judged(tmp_path):
    before = scored(20, threshold=0.7)
    write_predictions(tmp_path / "p.parquet", before)
    after = join(read_parquet(tmp_path / "p.parquet"), list(reversed(pairs(25))), "p")
    assert [pair["id"] for pair in after.pairs] == [f"id{row}" for row in reversed(range(20))]
    assert after.scores.tolist() == before.scores[::-1].tolist()
    assert after.accepted.tolist() == before.accepted[::-1].tolist()


def test_where_nothing_was_accepted_nothing_is(tmp_path):
    write_predictions(tmp_path / "p.parquet", scored(20, threshold=math.inf))
    assert not join(read_parquet(tmp_path / "p.parquet"), pairs(20), "p").accepted.any()


def test_decisions_are_carried_as_they_are_though_scores_do_not_tell_them():
    """Worked out by hand: the verdicts are all right, and the scores are no help."""
    rows = [
        {"id": f"id{row}", "label": row % 2, "score": score, "accepted": row % 2 == 1}
        for row, score in enumerate([0.9, 0.2, 0.8, 0.9, 0.1, 0.1])
    ]
    judge = join(rows, pairs(6), "judge")
    assert judge.accepted.tolist() == [False, True] * 3
    assert judge.at([3, 0]).accepted.tolist() == [True, False]
    cut = ScoredPairs(pairs(6), judge.scores, 0.5)
    comparison = compare(cut, judge, PARAMS)
    figures = {row["figure"]: (row["a"], row["b"]) for row in comparison.figures}
    assert figures["operating_point.precision"] == (pytest.approx(1 / 3), 1.0)
    assert figures["operating_point.recall"] == (pytest.approx(1 / 3), 1.0)
    assert figures["precision"] == (pytest.approx(1 / 3), pytest.approx(1 / 3))  # of the scores, at one half
    assert comparison.sign_test["operating point"] == {"a": 0, "b": 3, "p": 0.25}
    assert {row["id"] for row in comparison.disagreements} == {"id0", "id1", "id2", "id5"}


@pytest.mark.parametrize(("label", "kept"), [(1, {"recall", "accuracy"}), (0, {"accuracy"})])
def test_pairs_of_one_label_have_no_figure_that_says_nothing(label, kept):
    """Precision would be 1 or 0, whatever the judges do."""
    one, two = (its.at(np.flatnonzero(its.labels == label)) for its in (scored(), scored(skill=3.0)))
    shown = {row["figure"] for row in compare(one, two, PARAMS).figures}
    assert shown == {f"{at}{name}" for at in ("", "operating_point.") for name in kept} | {"brier", "log_loss"}


def test_scores_may_be_whole_numbers():
    rows = [{"id": f"id{row}", "label": row % 2, "score": row % 2, "accepted": True} for row in range(4)]
    assert join(rows, pairs(4), "p").scores.tolist() == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 1}, "the label of id0 isn't that of the pairs"),
        ({"id": "id1"}, "an id is there twice"),
        *(
            ({"score": its}, "the score of id0 is .*, no number between 0 and 1")
            for its in (math.nan, None, "0.5", True, 7)
        ),
        *(({"accepted": its}, "accepted of id0 is .*, neither true nor false") for its in ("false", None, 1, 0.0)),
    ],
)
def test_foreign_predictions_are_refused(change, message):
    rows = [{"id": f"id{row}", "label": row % 2, "score": 0.5, "accepted": True} for row in range(4)]
    rows[0] |= change
    with pytest.raises(UserError, match=message):
        join(rows, pairs(4), "p")
    with pytest.raises(UserError, match="score, accepted: missing column of predictions"):
        join([{"id": "id0", "label": 0}], pairs(4), "p")


def test_judges_are_compared_on_the_pairs_they_share():
    a, b = scored(20), scored(30)
    b = b.at([*range(29, 9, -1)])
    one, two = on_the_same_pairs(a, b)
    assert [pair["id"] for pair in one.pairs] == [pair["id"] for pair in two.pairs] == [f"id{i}" for i in range(10, 20)]
    with pytest.raises(UserError, match="no pair in common"):
        on_the_same_pairs(scored(10), b.at([0, 1]))


def test_two_files_are_compared_from_the_command_line(tmp_path, monkeypatch, capsys, request):
    (tmp_path / "params.yaml").write_bytes((request.config.rootpath / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    columns = [pair | {"corpus": "c", "kind": "k"} for pair in pairs(30)]
    write_parquet("data/pairs/test.parquet", columns, pa.Table.from_pylist(columns).schema)
    write_predictions(tmp_path / "a.parquet", scored(30, 0.5))
    write_predictions(tmp_path / "b.parquet", scored(20, 3.0))
    main(["compare", "a.parquet", "b.parquet", "--limit", "1"])
    printed = capsys.readouterr().out
    assert printed.startswith("a.parquet answered 30 of 30 pairs.\nb.parquet answered 20 of 30 pairs.\n20 pairs.")
    assert printed.count("\n- ") == 1
    with pytest.raises(SystemExit, match=r"error: c\.parquet: no such file"):
        main(["compare", "a.parquet", "c.parquet"])
