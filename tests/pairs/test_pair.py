"""A row gives pairs with one edit each, and labels by what is known of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluency.corpus.rows import Row
from fluency.edits.edit import Edit
from fluency.pairs.pair import pairs_of
from fluency.pairs.params import PairsParams
from fluency.params import load_params

PARAMS = load_params().pairs
CORRECTION = Row("correction", "He go.", "He goes.", None, None, None, None, "agreement", "p", "c", None, "f", 1)
PLAIN = replace(CORRECTION, relation="sentence", after=None)
OTHER = "It rains."  # may come in a sentence's place
TEXTS = st.text(min_size=1)


def labels(row: Row) -> dict[tuple[str, str], int]:
    return {(pair.before, pair.after): pair.label for pair in pairs_of(row, PARAMS, OTHER)}


def with_absurd(share: float, **augment) -> PairsParams:
    """Params under which this share of plain sentences gets an absurd edit, words that stand twice."""
    absurd = replace(PARAMS.augment.absurd, share=share, rates={"repeated": 1.0})
    return replace(PARAMS, augment=replace(PARAMS.augment, absurd=absurd, **augment))


def test_a_correction_is_fluent_one_way():
    assert labels(CORRECTION) == {("He go.", "He goes."): 1, ("He goes.", "He go."): 0}


def test_a_rewrite_is_fluent_both_ways():
    assert set(labels(replace(CORRECTION, relation="rewrite")).values()) == {1}


@pytest.mark.parametrize("label", [0, 1])
def test_a_labelled_row_keeps_its_label_and_direction(label):
    assert labels(replace(CORRECTION, relation="labelled", label=label)) == {("He go.", "He goes."): label}


def test_a_sentence_gives_mistakes_both_ways():
    row = replace(CORRECTION, relation="sentence", before="She has given him an apple to eat.", after=None)
    pairs = pairs_of(row, with_absurd(0.0, per_sentence=3), OTHER)
    assert len(pairs) == 6
    assert {pair.part for pair in pairs} == {"rule-made"}
    assert all((pair.label == 1) == (pair.after == row.before) for pair in pairs)
    assert len({pair.kind for pair in pairs}) == 3


@given(TEXTS, TEXTS, st.sampled_from(["correction", "rewrite"]), st.booleans())
def test_every_pair_holds_its_edit(before, after, relation, single):
    row = replace(CORRECTION, relation=relation, before=before, after=after)
    try:
        pairs = pairs_of(row, replace(PARAMS, single_edit_only=single), OTHER)
    except ValueError as error:
        assert before == after or (single and "more than one edit" in str(error))  # noqa: PT017
        return
    for pair in pairs:
        edit = Edit(pair.edit_start, pair.removed, pair.inserted)
        assert pair.before[pair.edit_start : pair.edit_end] == pair.removed
        assert edit.apply(pair.before) == pair.after
        assert pair.edit_type == edit.type


def test_the_edit_that_a_row_brings_is_taken():
    """Wider than it need be, as the corpus has it."""
    row = replace(CORRECTION, before="a a c", after="a b c", start=2, removed="a c", inserted="b c")
    assert [(pair.edit_start, pair.removed) for pair in pairs_of(row, PARAMS, OTHER)] == [(2, "a c"), (2, "b c")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"after": "He go."}, "no edit; before and after are the same"),
        ({"after": "She goes."}, None),
        ({"before": "He go and eat.", "after": "He goes and eats."}, "more than one edit; pairs.single_edit_only"),
        ({"relation": "sentence", "before": "Hm.", "after": None}, "what pairs.augment drew finds no place in it"),
    ],
)
def test_a_row_that_gives_no_pair_says_why(change, reason):
    params = with_absurd(0.0, per_sentence=1)
    if reason is None:
        assert pairs_of(replace(CORRECTION, **change), params, OTHER)
    else:
        with pytest.raises(ValueError, match=reason):
            pairs_of(replace(CORRECTION, **change), params, OTHER)


@pytest.mark.parametrize(("count", "least", "most"), [(0, 0, 0), (0.4, 0.33, 0.47), (1, 1, 1), (1.5, 1.4, 1.6)])
def test_a_count_with_a_fraction_gives_so_many_on_average(count, least, most):
    rows = [replace(PLAIN, before=f"She has given {number} apples to him.") for number in range(400)]
    made = [len(pairs_of(row, with_absurd(0.0, per_sentence=count), OTHER)) / 2 for row in rows]
    assert least <= sum(made) / len(made) <= most
    assert set(made) <= {int(count), int(count) + 1}


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.3, 0.23, 0.37), (1.0, 1, 1)])
def test_as_many_sentences_get_an_absurd_edit_as_the_share_says(share, least, most):
    rows = [replace(PLAIN, before=f"She has given {number} apples to him.") for number in range(400)]
    made = [len(pairs_of(row, with_absurd(share, per_sentence=0), OTHER)) for row in rows]
    assert least <= sum(made) / len(made) <= most
    assert set(made) <= {0, 1}


def test_mistakes_are_made_in_corrections_where_that_is_asked_for():
    row = replace(CORRECTION, before="She have given him an apple.", after="She has given him an apple.")
    pairs = pairs_of(row, with_absurd(1.0, per_sentence=1, corrections=True), OTHER)
    assert [pair.part for pair in pairs] == ["p", "p", "rule-made", "rule-made", "absurd"]
    assert {(pair.before, pair.label) for pair in (pairs[2], pairs[4])} == {(row.after, 0)}


@pytest.mark.parametrize("part", ["rule-made", "absurd"])
def test_the_seed_and_the_sentence_alone_draw_the_edits(part):
    row = replace(PLAIN, before="She has given many apples to him.")
    params = with_absurd(0.5, per_sentence=0.5)
    first, again = ([pairs_of(row, replace(params, seed=seed), OTHER) for seed in range(40)] for _ in "ab")
    assert first == again
    assert len({tuple(pair.after for pair in its if pair.part == part) for its in first}) > 4
