"""An edit leads exactly from before to after, and back."""

from itertools import accumulate

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from fluency.edits.edit import _ASCII_TOKEN, _TOKEN, Edit, apply_all, extract, occurrences, tokenize, widened

# Few words, so that sentences share many of them; and any text at all.
SENTENCES = st.one_of(
    st.lists(st.sampled_from(["the", "cat", "cats", "sat", "on", ",", "it's", "naïve", "👩‍👩‍👧", "é", "A"])).map(
        " ".join
    ),
    st.text(),
)


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


# Letters, marks, joiners, flags, modifiers and prepended signs: what graphemes are made of.
GRAPHEMES = st.text(alphabet="ae' \n\r-\u0301\u200d\ufe0f👩👨🏽🇩🇪क्\u0600١ㅎㅏ我々はーアที่เញ")


@given(GRAPHEMES, GRAPHEMES)
def test_an_edit_never_splits_a_grapheme(before, after):
    def bounds(text):
        return set(accumulate(map(len, regex.findall(r"\X", text)), initial=0))

    shift = 0
    for edit in extract(before, after):
        assert {edit.start, edit.end} <= bounds(before)
        assert {edit.start + shift, edit.start + shift + len(edit.inserted)} <= bounds(after)
        shift += len(edit.inserted) - len(edit.removed)


@given(st.text(alphabet=[chr(code) for code in range(128)]))
def test_the_fast_way_for_ascii_finds_the_same_tokens(text):
    assert _ASCII_TOKEN.findall(text) == _TOKEN.findall(text)


@given(*[st.lists(st.sampled_from(["a", "cat's", "-", ".", " ", "  ", "\t", "\n"]), max_size=9).map("".join)] * 3)
def test_the_fast_way_for_ascii_finds_the_same_edits(shared, before, after):
    """Words that both sentences begin and end with are not aligned there; behind a letter beyond ASCII all are."""
    before, after = f"{shared} {before} {shared}", f"{shared} {after} {shared}"
    slow = extract(f"é.{before}", f"é.{after}")
    assert extract(before, after) == [Edit(edit.start - 2, edit.removed, edit.inserted) for edit in slow]


def test_overlapping_edits_are_refused():
    with pytest.raises(ValueError, match="the edit overlaps the one before it; at offset 2"):
        apply_all([Edit(0, "abc", ""), Edit(2, "c", "")], "abc")


@given(SENTENCES.filter(str.strip), st.data())
def test_a_widened_edit_can_be_made_by_replacing_the_first_occurrence(sentence, data):
    start = data.draw(st.integers(0, len(sentence)))
    end = data.draw(st.integers(start, min(len(sentence), start + 6)))
    edit = Edit(start, sentence[start:end], data.draw(st.sampled_from(["", "x", " the"])))
    wide = widened(edit, sentence)
    assert wide.removed.strip()
    assert sentence.replace(wide.removed, wide.inserted, 1) == edit.apply(sentence) == wide.apply(sentence)


def test_an_edit_is_widened_by_as_few_words_as_will_do():
    assert widened(Edit(5, "are", "is"), "This are a test.") == Edit(5, "are", "is")
    assert widened(Edit(6, "", "the "), "I saw cat.") == Edit(6, "cat", "the cat")
    assert widened(Edit(4, "a", "b"), "a b a c") == Edit(2, "b a c", "b b c")
    with pytest.raises(ValueError, match="blank sentence"):
        widened(Edit(0, "", "x"), " ")


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


@pytest.mark.parametrize(
    ("before", "after", "edits"),
    [
        ("我咋天去图书官看书。", "我昨天去图书馆看书。", [("咋", "昨"), ("官", "馆")]),
        ("昨日わ学校え行きました。", "昨日は学校へ行きました。", [("わ", "は"), ("え", "へ")]),
        ("ผมไปโรงเรียยเมือวานนี้", "ผมไปโรงเรียนเมื่อวานนี้", [("ย", "น"), ("มื", "มื่")]),
        ("ខ្ញុំទៅសាលារៀនម្សិលមិញ", "ខ្ញុំទៅសាលារៀនម្សិលម៉ិញ", [("មិ", "ម៉ិ")]),
        ("我喜欢咖啡店。", "我喜欢图书馆。", [("咖啡店", "图书馆")]),  # a word that is replaced is one edit
        ("ディズニランドへ行く。", "ディズニーランドへ行く。", [("ディズニランド", "ディズニーランド")]),
        ("나는 학교에 갔다.", "나는 학교로 갔다.", [("학교에", "학교로")]),  # Korean has spaces
        ("我的iPhone手机很贵", "我的iPad手机很贵", [("iPhone", "iPad")]),
    ],
)
def test_changes_in_a_clause_without_spaces_are_edits_of_their_own(before, after, edits):
    assert [(edit.removed, edit.inserted) for edit in extract(before, after)] == edits


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
    with pytest.raises(ValueError, match="does not stand at its place"):
        Edit(2, "is", "are").apply("It are")


def test_occurrences_prefer_whole_words():
    assert occurrences("in", "mining in vain in Spain") == [7, 15]
    assert occurrences("ain", "in vain") == [4]
    assert occurrences("x", "none") == []
    assert occurrences("a", "a b a") == [0, 4]
    assert occurrences("aa", "aaaa") == [0, 1, 2]  # which may overlap
