"""What becomes of rows by limits, annotators, conflicts, repeats and near-duplicates; the audit counts them."""

import json
import random
from collections import Counter
from dataclasses import replace

import pytest

from fluency.corpus.rows import SPLITS, Row
from fluency.utils import files
from fluency.utils.errors import UserError
from tests.pairs.test_dataset import PARAMS, all_pairs, build, labelled, many, sentence, sizes


def test_limits_are_kept_and_drawn_the_same_each_time(tmp_path):
    params = replace(PARAMS, max_train_samples=20, max_eval_samples=5, max_predict_samples=7)
    one, other = build(tmp_path / "one", many(200), params), build(tmp_path / "two", many(200), params)
    assert sizes(one[0]) == {"train": 20, "validation": 5, "test": 7}
    assert one[2]["rows"] == {"read": 200, "used": 32, "not_drawn": 168, "rejected": 0}
    assert one == other


def corrections(count: int, **others) -> list[Row]:
    """Corrections of sentences that have nothing in common."""
    return [
        replace(labelled(f"w{n} is v{n} of", f"w{n} is v{n} on", None, **others), relation="correction")
        for n in range(count)
    ]


def test_limits_draw_an_edit_with_its_reverse(tmp_path):
    rows = corrections(300)
    params = replace(PARAMS, max_train_samples=51, max_eval_samples=5, max_predict_samples=7)
    splits, _, audit = build(tmp_path / "one", rows, params)
    assert sizes(splits) == {"train": 50, "validation": 4, "test": 6}
    assert [its["share_reversed"] for its in audit["splits"].values()] == [1.0, 1.0, 1.0]
    # edits that come twice, and single pairs, which fill what is left
    splits, _, audit = build(tmp_path / "two", [*rows, *rows[:150], *many(60)], params)
    assert sizes(splits) == {"train": 51, "validation": 5, "test": 7}
    for name, pairs in splits.items():
        edits = Counter((pair["before"], pair["after"]) for pair in pairs)
        corrected = {pair: count for pair, count in edits.items() if " is v" in pair[0]}
        assert all(count == edits[pair[::-1]] for pair, count in corrected.items())
        share = sum(corrected.values()) / len(pairs)
        assert audit["splits"][name]["share_reversed"] == round(share, 4) < 1


FAULTY = "We has a old dog ."
VOTES = {  # corrections of one sentence, and which policies use them
    ("We have a old dog .", FAULTY, FAULTY, FAULTY): {"any"},
    ("We have a old dog .", "We have an old dog .", FAULTY, FAULTY): {"any"},
    ("We have a old dog .", "We have an old dog .", FAULTY): {"any", "majority"},
    ("We have a old dog .", "We had a old dog .", "We have a old dogs ."): {"any", "majority", "all"},
}


@pytest.mark.parametrize("policy", ["any", "majority", "all"])
@pytest.mark.parametrize("corrected", VOTES)
def test_a_correction_that_annotators_dispute_is_used_as_the_policy_says(tmp_path, monkeypatch, policy, corrected):
    monkeypatch.setattr(files, "_ROW_GROUP", 3)  # annotators of one sentence in several row groups
    rows = [replace(labelled(FAULTY, after, None), relation="correction") for after in corrected]
    elsewhere = [replace(row, corpus="d") for row in rows if row.after == FAULTY]  # says nothing of this corpus
    params = replace(PARAMS, disagreement=policy, single_edit_only=False)
    splits, rejected, audit = build(tmp_path, [*many(60), *rows, *elsewhere, *corrections(20)], params)
    used = {pair["after"] for pair in all_pairs(splits) if pair["before"] == FAULTY}
    assert used == ({*corrected} - {FAULTY} if policy in VOTES[corrected] else set())
    left_out = len([after for after in corrected if after != FAULTY]) if not used else 0
    assert audit["rejected"].get("annotators disagree", 0) == left_out
    assert audit["corpora"]["c"]["all"]["disputed"] == (FAULTY in corrected) * sum(one != FAULTY for one in corrected)
    for item in rejected:
        if "disagree" in item["reason"]:
            assert f"(pairs.disagreement is {policy})" in item["reason"]
            assert json.loads(item["row"])["before"] == FAULTY


def test_a_plain_sentence_is_a_vote_for_no_change_and_a_label_is_none(tmp_path):
    rows = [replace(labelled("It were so .", "It was so .", None), relation="correction"), sentence("It were so .")]
    _, _, audit = build(tmp_path / "one", [*many(60), *rows])
    assert audit["rejected"]["annotators disagree"] == 1
    judged = [labelled("It were so .", "It was so .", 1), *([labelled("It were so .", "It were so .", 1)] * 3)]
    _, _, audit = build(tmp_path / "two", [*many(60), *judged])
    assert "annotators disagree" not in audit["rejected"]


AB, AB0, DE, DE0, GH = ("a b", "a c", 1), ("a b", "a c", 0), ("d e", "d f", 1), ("d e", "d f", 0), ("g h", "g i", 0)
CONFLICTS = [AB0, AB, AB, DE, DE0, GH, GH]


@pytest.mark.parametrize(
    ("conflicts", "duplicates", "expected"),
    [
        ("keep", "keep", CONFLICTS),
        ("drop", "keep", [GH, GH]),
        ("majority", "keep", [AB, AB, GH, GH]),
        ("majority", "drop", [AB, GH]),
        ("keep", "drop", [AB0, AB, DE, DE0, GH]),
    ],
)
def test_conflicts_and_duplicates_are_used_as_the_policy_says(tmp_path, conflicts, duplicates, expected):
    rows = [labelled(*row) for row in CONFLICTS]
    params = replace(PARAMS, conflicts=conflicts, duplicates=duplicates)
    splits, _, audit = build(tmp_path, [*many(60), *rows], params)
    used = [(pair["before"], pair["after"], pair["label"]) for pair in all_pairs(splits)]
    assert sorted(pair for pair in used if len(pair[0]) == 3) == sorted(expected)
    gone = len(CONFLICTS) - len(expected)
    assert sum(audit["rejected"].get(name, 0) for name in ("label conflict", "duplicate")) == gone
    assert audit["corpora"]["c"]["all"]["label_conflicts"] == 2  # as the source gives them


def test_a_row_that_is_left_out_twice_is_counted_once(tmp_path):
    disputed = [
        replace(labelled(FAULTY, after, None), relation="correction") for after in (*["We had it ."] * 2, FAULTY)
    ]
    rows = [*disputed, disputed[2], labelled(FAULTY, "We had it .", 0), *[labelled(FAULTY, "We had it .", 1)] * 2]
    params = replace(
        PARAMS,
        conflicts="majority",
        duplicates="drop",
        leakage="drop_train",
        single_edit_only=False,
        disagreement="all",
    )
    splits, _, audit = build(tmp_path, [*many(60), *rows], params)
    assert audit["rejected"] == {"annotators disagree": 2, "duplicate": 1, "label conflict": 1, "no edit": 2}
    assert [pair["label"] for pair in all_pairs(splits) if pair["before"] == FAULTY] == [1]


WRONG = ["do", "doing", "done", "don't", "dose"] * 2


def test_near_duplicates_are_never_cut_apart_and_their_share_is_said(tmp_path):
    rng = random.Random(0)
    templates = (
        "In {} the shop {} not open .", "Since {} nobody {} cross the old bridge .",
        "A letter of {} {} hang on a wall .", "My aunt says that {} {} seem a very wet year .",
        "Room {} {} have any curtains or lamps .", "The number {} bus {} stop near your school .",
    )  # fmt: skip
    family = [
        [
            replace(labelled(template.format(year, wrong), template.format(year, "does"), None), relation="correction")
            for year, wrong in zip(rng.sample(range(1900, 2000), 10), WRONG, strict=True)
        ]
        for template in templates
    ]
    rows = [*corrections(200), *(row for its in family for row in its)]
    for threshold, together in ((0.7, True), (None, False)):
        folder = tmp_path / str(threshold)
        splits, _, audit = build(folder, rows, replace(PARAMS, near_duplicates=threshold))
        split_of = {pair["before"]: split for split, pairs in splits.items() for pair in pairs}
        assert all(len({split_of[row.before] for row in its}) == 1 for its in family) == together
        assert audit["groups"]["near_duplicate_rows"] == (60 if together else 0)
        assert audit["groups"]["near_duplicate_share"] == (round(60 / 260, 4) if together else 0.0)
    # given splits are kept, and what is nearly the same in them is counted
    given = [replace(row, split=SPLITS[n % 3]) for its in family for n, row in enumerate(its)]
    given += [replace(row, split=SPLITS[n % 3]) for n, row in enumerate(corrections(30))]
    _, _, audit = build(tmp_path / "given", given, replace(PARAMS, near_duplicates=0.7))
    figures = audit["leakage"]["test"]
    assert (figures["rows"], figures["rows_normalised"], figures["rows_near"]) == (0, 0, 18)


def test_near_duplicates_of_a_later_split_leak_too(tmp_path):
    """What is dropped or stops the run is what the audit counts."""
    near = [
        labelled(f"The {word} hall holds {n} people .", f"The {word} hall hold {n} people .", 0, split)
        for word in ("old", "new") for n, split in zip((20, 300, 4000), SPLITS, strict=True)
    ]  # fmt: skip
    rows = [*many(60, "train"), *many(20, "validation", seed=1), *many(20, "test", seed=2), *near]
    params = replace(PARAMS, near_duplicates=0.95)
    _, rejected, audit = build(tmp_path / "report", rows, params)
    assert [its["rows_near"] for its in audit["leakage"].values()] == [2, 2]
    assert rejected == []
    splits, rejected, audit = build(tmp_path / "drop", rows, replace(params, leakage="drop_train"))
    assert {its[key] for its in audit["leakage"].values() for key in ("rows_near", "groups")} == {0}
    assert sorted(json.loads(item["row"])["split"] for item in rejected) == ["train"] * 2 + ["validation"] * 2
    assert {item["reason"].partition(";")[0] for item in rejected} == {"leakage"}
    assert sizes(splits)["test"] == 22
    with pytest.raises(UserError, match=r"pairs\.leakage: 4 rows share a sentence .*, or have nearly the same"):
        build(tmp_path / "fail", rows, replace(params, leakage="fail"))
    build(tmp_path / "none", rows, replace(PARAMS, leakage="fail"))  # near_duplicates: null
