"""An edit is taken in each of its forms, as it is meant or not at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluency.edits import forms as changes
from fluency.edits.edit import Edit, extract
from fluency.edits.forms import as_change, from_record

CAT = "The cat saw the cat."


@pytest.mark.parametrize(
    ("edit", "after"),
    [
        ((CAT, "x"), "x"),
        ([CAT, CAT], CAT),
        ((CAT, Edit(16, "cat", "dog")), "The cat saw the dog."),
        ((CAT, "saw", "sees"), "The cat sees the cat."),
        ((CAT, "cat", "dog", 0), "The dog saw the cat."),
        ((CAT, "cat", "dog", np.int64(1)), "The cat saw the dog."),
        ((CAT, "cat", "dog", "1"), "The cat saw the dog."),
        (("A cat sat at a table.", "at", "on"), "A cat sat on a table."),  # whole words before parts of words
        (("The catalogue.", "cat", "dog"), "The dogalogue."),
        ((CAT, "The", ""), "cat saw the cat."),
        ((CAT, "saw", " "), "The cat the cat."),
        ((CAT, "cat", "", 1), "The cat saw the."),
    ],
)
def test_an_edit_is_what_its_form_says(edit, after):
    assert as_change(edit) == (edit[0], after)


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        ((CAT, " \n"), changes.EmptySentence, "after: empty"),
        ((None, "x"), changes.EmptySentence, "before: empty"),
        ((CAT, CAT, ""), changes.EmptySentence, "after: empty"),
        ((1, "x"), changes.NotText, "before: no text, but int"),
        ((CAT, "a\0b"), changes.NotText, "after: a NUL"),
        ((CAT, "\ud800"), changes.NotText, "after: a lone surrogate"),
        ((CAT, "a" * 20_001), changes.TooLong, "after: too long; 20001 characters"),
        ((CAT, "dog", "cat"), changes.EditNotFound, "part: 'dog' does not stand in the sentence"),
        ((CAT, "", "cat"), changes.EditNotFound, "part: empty"),
        ((CAT, "saw", None), changes.NotText, "rewrite: no text, but NoneType"),
        ((CAT, Edit(3, "cat", "dog")), changes.EditNotFound, "'cat' at offset 3"),
        ((CAT, "cat", "dog"), changes.AmbiguousEdit, "'cat' stands in the sentence 2 times; give its occurrence"),
        ((CAT, "cat", "dog", 2), changes.EditNotFound, "occurrence: 2, but 'cat' stands in the sentence 2 times"),
        ((CAT, "cat", "dog", -1), changes.EditNotFound, "occurrence: -1 is no count"),
        ((CAT, "cat", "dog", 0.5), changes.EditNotFound, "occurrence: 0.5 is no count"),
        ((CAT, "cat", "dog", "second"), changes.EditNotFound, "occurrence: 'second' is no count"),
        ("ab", changes.CannotScore, "neither"),
        ((CAT,), changes.CannotScore, "neither"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_reason(edit, error, message):
    with pytest.raises(error, match=message) as raised:
        as_change(edit)
    assert type(raised.value) is error


@given(before=st.text(min_size=1), after=st.text(min_size=1))
def test_a_place_is_enough_to_tell_an_edit(before, after):
    """Whatever two sentences: an edit between them by offset gives what a pair of sentences gives."""
    for edit in extract(before, after):
        try:
            expected = as_change((before, edit.apply(before)))
        except changes.CannotScore as error:
            with pytest.raises(type(error)):
                as_change((before, edit))
        else:
            assert as_change((before, edit)) == expected


@pytest.mark.parametrize(
    ("record", "edit"),
    [
        ({"before": "a", "after": "b", "occurrence": 1}, ("a", "b")),
        ({"sentence": "a", "part": "a", "rewrite": "b"}, ("a", "a", "b")),
        (
            {"original_sentence": "a", "inappropriate_part": "a", "rewritten_part": "b", "occurrence": "1", "id": 7},
            ("a", "a", "b", "1"),
        ),
        ({"sentence": "a", "part": "a", "rewrite": "b", "occurrence": ""}, ("a", "a", "b")),
        ({"sentence": "a", "part": "a", "rewrite": "b", "occurrence": np.nan}, ("a", "a", "b")),
    ],
)
def test_a_record_is_read_by_its_columns(record, edit):
    assert from_record(record) == edit


def test_a_record_without_an_edit_is_refused_with_the_columns_wanted():
    with pytest.raises(changes.CannotScore, match="no columns before, after or original_sentence,"):
        from_record({"before": "a"})
