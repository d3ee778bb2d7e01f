"""Pairs hold exactly one edit, groups are never cut, and the order of rows changes nothing but the order of pairs."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluency.audit import audit
from fluency.corpora import Row
from fluency.edits import Edit
from fluency.errors import UserError
from fluency.pairs import build_pairs, cut_splits, grouped, normalise
from fluency.params import load_params

PARAMS = load_params().pairs
WORDS = ["we", "like", "the", "old", "house", "near", "a", "river", "and", "its", "cats"]


def sentence_row(text: str, split: str | None = None) -> Row:
    return Row("sentence", text, None, None, None, None, None, "plain", "hand-written", "c", split, "f", 1)


def labelled_row(before: str, after: str, label: int, split: str | None = None) -> Row:
    return Row("labelled", before, after, None, None, None, label, "unknown", "p", "c", split, "f", 1)


def many_rows(count: int, split: str | None = None, seed: int = 0) -> list[Row]:
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        words = [*rng.choices(WORDS, k=6), f"n{number}"]
        rows.append(labelled_row(" ".join(words), " ".join(["They", *words[1:]]), number % 2, split))
    return rows


def all_pairs(splits):
    return [pair for pairs in splits.values() for pair in pairs]


def test_every_pair_holds_its_edit():
    rows = [sentence_row(f"She has given {number} friends an apple because they were hungry.") for number in range(60)]
    pairs = all_pairs(build_pairs(rows, PARAMS)[0])
    assert len(pairs) == 120
    for pair in pairs:
        assert pair.before[pair.edit_start : pair.edit_end] == pair.removed
        assert Edit(pair.edit_start, pair.removed, pair.inserted).apply(pair.before) == pair.after


def test_corrections_and_rewrites_go_both_ways():
    correction = replace(
        sentence_row("He go."), relation="correction", after="He goes.", start=3, removed="go", inserted="goes"
    )
    rewrite = replace(
        correction,
        relation="rewrite",
        before="It is big.",
        after="It is large.",
        start=6,
        removed="big",
        inserted="large",
    )
    pairs = all_pairs(build_pairs([*many_rows(60), correction, rewrite], PARAMS)[0])
    labels = {(pair.before, pair.after): pair.label for pair in pairs}
    assert labels["He go.", "He goes."] == 1
    assert labels["He goes.", "He go."] == 0
    assert labels["It is big.", "It is large."] == labels["It is large.", "It is big."] == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_rows_changes_nothing_but_the_order_of_pairs(seed):
    rows = many_rows(80)
    shuffled = random.Random(seed).sample(rows, len(rows))
    one, other = build_pairs(rows, PARAMS)[0], build_pairs(shuffled, PARAMS)[0]
    for split in one:
        assert sorted(one[split], key=lambda pair: pair.id) == sorted(other[split], key=lambda pair: pair.id)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 1)), min_size=1, max_size=80))
def test_no_group_is_ever_in_two_splits(edges):
    drafts = all_pairs(build_pairs(many_rows(60), PARAMS)[0])
    pairs = [
        replace(drafts[0], before=f"s{one}", after=f"S{other}  ", label=label, split=None)
        for one, other, label in edges
    ]
    split_of = {}
    for pair in cut_splits(grouped(pairs), PARAMS.split, 1):
        for sentence in (pair.before, pair.after):
            assert split_of.setdefault(normalise(sentence), pair.split) == pair.split


def test_splits_have_their_shares_in_every_part():
    rows = many_rows(400) + [
        replace(row, part="q", before=f"q {row.before}", after=f"q {row.after}") for row in many_rows(400)
    ]
    splits, _ = build_pairs(rows, PARAMS)
    for part in "pq":
        counts = {split: sum(pair.part == part for pair in pairs) for split, pairs in splits.items()}
        assert counts == {
            "train": pytest.approx(280, abs=4),
            "validation": pytest.approx(40, abs=4),
            "test": pytest.approx(80, abs=4),
        }


def test_given_splits_are_kept_and_a_missing_test_split_is_cut_from_train():
    rows = many_rows(200, "train") + many_rows(40, "validation", seed=1)
    splits, _ = build_pairs(rows, PARAMS)
    assert {split: len(pairs) for split, pairs in splits.items()} == {"train": 160, "validation": 40, "test": 40}
    kept = {(row.before, row.after) for row in rows if row.split == "validation"}
    assert {(pair.before, pair.after) for pair in splits["validation"]} == kept


def test_rows_without_a_split_join_train_where_the_others_have_one():
    rows = many_rows(40, "train") + many_rows(40, "validation", seed=1) + many_rows(40, "test", seed=2)
    splits, _ = build_pairs([*rows, *many_rows(10, None, seed=3)], PARAMS)
    assert {split: len(pairs) for split, pairs in splits.items()} == {"train": 50, "validation": 40, "test": 40}


def test_a_sentence_without_a_place_for_a_mistake_is_not_lost():
    _, rejected = build_pairs([*many_rows(60), sentence_row("Hm.")], PARAMS)
    assert [item.row for item in rejected] == ["Hm."]


def test_leakage_between_given_splits_is_counted():
    rows = many_rows(100, "train") + many_rows(40, "validation", seed=1) + many_rows(10, "test", seed=0)
    splits, rejected = build_pairs(rows, PARAMS)
    assert audit(rows, splits, rejected)["leakage"] == {"validation": 0, "test": 10}


def test_rows_without_exactly_one_edit_are_rejected():
    two = labelled_row("He go home and eat it.", "He goes home and eats it.", 1)
    same = labelled_row("Same.", "Same.", 1)
    splits, rejected = build_pairs([*many_rows(60), two, same], PARAMS)
    assert len(all_pairs(splits)) == 60
    assert [item.reason.split(";")[0] for item in rejected] == ["2 edits", "no edit: before and after are the same"]
    splits, rejected = build_pairs([*many_rows(60), two], replace(PARAMS, single_edit_only=False))
    assert rejected == []
    assert ("go home and eat", "goes home and eats") in {(pair.removed, pair.inserted) for pair in all_pairs(splits)}


def test_repeated_rows_get_ids_of_their_own():
    pairs = all_pairs(build_pairs([*many_rows(60), many_rows(1)[0]], PARAMS)[0])
    assert len({pair.id for pair in pairs}) == 61


def test_limits_are_kept_and_drawn_the_same_each_time():
    params = replace(PARAMS, max_train_samples=20, max_eval_samples=5, max_predict_samples=7)
    one, other = build_pairs(many_rows(200), params)[0], build_pairs(many_rows(200), params)[0]
    assert {split: len(pairs) for split, pairs in one.items()} == {"train": 20, "validation": 5, "test": 7}
    assert one == other


def test_an_empty_split_and_one_of_one_label_are_named():
    with pytest.raises(UserError, match="split 'validation' is empty"):
        build_pairs(many_rows(2), PARAMS)
    with pytest.raises(UserError, match="split 'train' has label 1 only"):
        build_pairs([replace(row, label=1) for row in many_rows(50)], PARAMS)


def test_an_unknown_kind_of_mistake_is_named():
    augment = replace(PARAMS.augment, rates={"typos": 1.0})
    with pytest.raises(UserError, match=r"pairs\.augment\.rates\.typos: unknown kind; known: agreement"):
        build_pairs([sentence_row("All is well.")], replace(PARAMS, augment=augment))
