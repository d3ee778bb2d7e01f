"""An edit leads exactly from before to after, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluency.edits import Edit, extract, occurrences, tokenize

# Few words, so that sentences share many of them; and any text at all.
SENTENCES = st.one_of(
    st.lists(st.sampled_from(["the", "cat", "cats", "sat", "on", ",", "it's", "naïve", "👩‍👩‍👧", "é", "A"])).map(
        " ".join
    ),
    st.text(),
)


def apply_all(edits: list[Edit], sentence: str) -> str:
    for edit in reversed(edits):
        sentence = edit.apply(sentence)
    return sentence


@given(SENTENCES, SENTENCES)
def test_extracted_edits_lead_to_the_other_sentence(before, after):
    assert apply_all(extract(before, after), before) == after


@given(SENTENCES)
def test_the_same_sentence_has_no_edit(sentence):
    assert extract(sentence, sentence) == []


@given(SENTENCES, st.data())
def test_an_inverted_edit_leads_back(sentence, data):
    start = data.draw(st.integers(0, len(sentence)))
    end = data.draw(st.integers(start, len(sentence)))
    edit = Edit(start, sentence[start:end], data.draw(st.text()))
    assert edit.invert().apply(edit.apply(sentence)) == sentence


@given(st.text())
def test_tokens_joined_are_the_text(text):
    assert "".join(tokenize(text)) == text


def test_graphemes_are_never_split():
    family, accented = "👩‍👩‍👧‍👦", "e\u0301"
    assert family in tokenize(f"a {family} b")
    assert tokenize(f"caf{accented} au lait")[0] == f"caf{accented}"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("This are a test.", "This is a test.", [Edit(5, "are", "is")]),
        ("I saw cat.", "I saw the cat.", [Edit(6, "", "the ")]),
        ("I don't know.", "I do know.", [Edit(2, "don't", "do")]),
        ("She quickly ran off.", "She ran quickly off.", [Edit(4, "quickly ran", "ran quickly")]),
        ("He go home and eat it.", "He goes home and eats it.", [Edit(3, "go", "goes"), Edit(15, "eat", "eats")]),
    ],
)
def test_known_edits(before, after, expected):
    assert extract(before, after) == expected


def test_adjacent_changes_are_one_edit():
    assert len(extract("It has been raining hard.", "It had be raining hard.")) == 1


@pytest.mark.parametrize(
    ("edit", "type_"),
    [
        (Edit(0, "", "a "), "insert"),
        (Edit(0, "a ", ""), "delete"),
        (Edit(0, "a", "b"), "replace"),
        (Edit(0, " ", "-"), "insert"),
    ],
)
def test_types(edit, type_):
    assert edit.type == type_


def test_an_edit_refuses_a_sentence_it_does_not_fit():
    with pytest.raises(ValueError, match="does not stand at offset 2"):
        Edit(2, "is", "are").apply("It are")


def test_occurrences_prefer_whole_words():
    assert occurrences("in", "mining in vain in Spain") == [7, 15]
    assert occurrences("ain", "in vain") == [4]
    assert occurrences("x", "none") == []
