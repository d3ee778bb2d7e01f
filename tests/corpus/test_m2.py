"""M2 is read in both of its styles and written so that it reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluency.corpus.formats import read_m2
from fluency.corpus.m2 import as_m2, blocks, joined, parse, silent_annotators

ERRANT = """S She go home .
A 1 2|||R:VERB:SVA|||goes|||REQUIRED|||-NONE-|||0
A 1 2|||R:VERB:TENSE|||went|||REQUIRED|||-NONE-|||1
A 2 2|||M:PREP|||back|||REQUIRED|||-NONE-|||1

S All is well .
A -1 -1|||noop|||-NONE-|||REQUIRED|||-NONE-|||0

S Not annotated .
"""


def drafts(text: str, *, join: bool = False):
    parsed = map(parse, blocks(enumerate(text.split("\n"), 1)))
    found = [draft for block in parsed for draft in read_m2(block, join=join)]
    for draft in found:
        if isinstance(draft, ValueError):
            raise draft
    return found


def test_each_annotator_gives_a_correction():
    assert [(draft.before, draft.after, draft.kind) for draft in drafts(ERRANT)] == [
        ("She go home .", "She goes home .", "R:VERB:SVA"),
        ("She go home .", "She went back home .", "M:PREP+R:VERB:TENSE"),
        ("All is well .", "All is well .", ""),
        ("Not annotated .", "Not annotated .", ""),
    ]
    assert {draft.relation for draft in drafts(ERRANT)} == {"correction"}


def test_annotators_who_left_a_sentence_as_it_is_are_drafts_too():
    noop = "A -1 -1|||noop|||-NONE-|||REQUIRED|||-NONE-|||{}"
    edit = "A 1 2|||R:VERB|||goes|||REQUIRED|||-NONE-|||{}"
    block = "\n".join(["S She go .", edit.format(0), noop.format(1), noop.format(2), noop.format(3), edit.format(4)])
    assert [draft.after for draft in drafts(block)] == ["She goes .", *["She go ."] * 3, "She goes ."]


def test_in_the_older_style_who_has_no_line_left_the_sentence_as_it_is():
    """As in JFLEG; ERRANT says noop, and who has no line did not see the sentence."""
    old = "S a b\nA 0 1|||null|||x|||REQUIRED|||-NONE-|||0\nA 0 1|||null|||y|||REQUIRED|||-NONE-|||2\n\nS c d\n"
    for text, silent in [(old, ["0", "2"]), (old.replace("null", "R:NOUN"), []), (old + "\n" + ERRANT, [])]:
        assert silent_annotators(enumerate(text.split("\n"), 1)) == silent
    *_, block = blocks(enumerate(old.split("\n"), 1))
    assert [draft.after for draft in read_m2(parse(block, ["0", "2"]), join=False)] == ["c d"] * 2


@pytest.mark.parametrize(
    ("raw", "span", "after"),
    [
        ("Our cat   sleep all day .", "3 4", "Our cat sleeps all day ."),  # raw: two spaces after cat
        ("Our cat    sleep all day .", "3 4", "Our cat sleeps all day ."),  # three, one token too
        ("  Our cat sleep all day .", "3 4", "Our cat sleeps all day ."),  # begins with a space
        ("Our cat \u00a0 sleep all day .", "3 4", "Our cat sleeps all day ."),
        ("Our cat sleep all day . ", "2 3", "Our cat sleeps all day ."),
    ],
)
def test_tokens_are_counted_as_errant_counts_them(raw, span, after):
    (draft,) = drafts(f"S {raw}\nA {span}|||R:VERB:SVA|||sleeps|||REQUIRED|||-NONE-|||0")
    assert (draft.before, draft.after) == (after.replace("sleeps", "sleep"), after)


def test_two_spaces_between_tokens_are_refused():
    """ERRANT writes one, or three and more; what other tools count is not known."""
    with pytest.raises(ValueError, match="M2: two spaces in a row"):
        drafts("S Our cat  sleep .\nA 2 3|||R:VERB:SVA|||sleeps|||REQUIRED|||-NONE-|||0")


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("She does n't know , does she ?", "She doesn't know, does she?"),
        ('He said " hi " to ( all of ) us .', 'He said "hi" to (all of) us.'),
        ("It cost $ 5 or 10 % more .", "It cost $5 or 10% more."),
        ("`` Well '' , it 's Ann 's ...", "\"Well\", it's Ann's..."),
        ("我 喜 欢 猫 。", "我喜欢猫。"),
        ("The 3 dogs", "The 3 dogs"),
        (". x", ". x"),
    ],
)
def test_tokens_are_joined_as_text_has_them(tokens, text):
    assert joined(tokens.split(" ")) == text
    (draft,) = drafts(f"S {tokens}", join=True)
    assert draft.before == text


@given(st.lists(st.sampled_from(["a", "n't", ",", "(", ")", '"', "猫", "。", "'s"]), min_size=1), st.data())
def test_joined_sentences_differ_where_their_edit_is(tokens, data):
    """What stands before the edit stays as it is."""
    start = data.draw(st.integers(0, len(tokens)))
    block = f"S {' '.join(tokens)}\nA {start} {start}|||M|||new|||REQUIRED|||-NONE-|||0"
    (draft,) = drafts(block, join=True)
    assert draft.after.replace(" ", "") == "".join([*tokens[:start], "new", *tokens[start:]])
    assert draft.after.startswith(joined(tokens[:start]))


def test_cherrants_lines_of_targets_are_no_annotations():
    block = "S 我 喜 猫 。\nT0-A0 我 喜 欢 猫 。\nA 2 2|||M|||欢|||REQUIRED|||-NONE-|||0"
    assert [draft.after for draft in drafts(block, join=True)] == ["我喜欢猫。"]


def test_blocks_know_their_lines():
    assert [block.line for block in blocks(enumerate(ERRANT.split("\n"), 1))] == [1, 6, 9]


def test_the_older_style_deletes_by_nothing_and_may_offer_alternatives():
    old = (
        "S I am in the my home\nA 3 4|||ArtOrDet||||||REQUIRED|||-NONE-|||0\n"
        "A 2 3|||Prep|||at||inside|||REQUIRED|||-NONE-|||0"
    )
    assert [draft.after for draft in drafts(old)] == ["I am at my home"]
    none = "S I am here now\nA 3 4|||Rloc-|||-NONE-|||REQUIRED|||-NONE-|||0"
    assert [draft.after for draft in drafts(none)] == ["I am here"]


def test_edits_at_one_place_keep_their_order():
    both = "S a b c\nA 1 2|||x|||B|||REQUIRED|||-NONE-|||0\nA 1 1|||x|||new|||REQUIRED|||-NONE-|||0"
    assert [draft.after for draft in drafts(both)] == ["a new B c"]


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("A 0 1|||x|||y|||REQUIRED|||-NONE-|||0", "a block begins with its sentence"),
        ("S a b\nA 0 1|||x|||y", "not an annotation"),
        ("S a b\nB 0 1|||x|||y|||REQUIRED|||-NONE-|||0", "not an annotation"),
        ("S a b\nA 0 x|||x|||y|||REQUIRED|||-NONE-|||0", "offsets are no numbers"),
        ("S a b\nA 1 3|||x|||y|||REQUIRED|||-NONE-|||0", "an edit overlaps another or leaves the sentence; 1 3"),
        (
            "S a b c\nA 0 2|||x|||y|||REQUIRED|||-NONE-|||0\nA 1 3|||x|||y|||REQUIRED|||-NONE-|||0",
            "leaves the sentence; 1 3",
        ),
    ],
)
def test_malformed_blocks_are_explained(block, reason):
    with pytest.raises(ValueError, match=reason):
        drafts(block)


SENTENCES = st.lists(st.sampled_from(["the", "cat", "sat", ",", "S", "A", "naïve", "👩‍👩‍👧", "0"]), min_size=1).map(
    " ".join
)


@given(SENTENCES, SENTENCES, st.sampled_from(["k", "noop", "UNK", "a|||b", "a\nb", ""]))
def test_what_is_written_reads_back(before, after, kind):
    (draft,) = drafts(as_m2(before, after, kind=kind))
    assert (draft.before, draft.after) == (before, after)


@given(st.text(), st.text())
def test_any_text_is_written_to_read_back_or_refused(before, after):
    try:
        text = as_m2(before, after)
    except ValueError:
        return
    assert [(draft.before, draft.after) for draft in drafts(text)] == [(before, after)]


@pytest.mark.parametrize("sentence", ["", "two  spaces", "a\nb", " a", "a | b", "a -NONE- b", "a\u2028b"])
def test_what_the_format_cannot_hold_is_refused(sentence):
    with pytest.raises(ValueError, match="M2 holds words with single spaces"):
        as_m2("a", sentence)


def test_a_sentence_without_edits_is_a_noop():
    assert as_m2("All is well .", "All is well .").endswith("A -1 -1|||noop|||-NONE-|||REQUIRED|||-NONE-|||0\n")
    (block,) = blocks(enumerate(as_m2("a", "a").split("\n"), 1))
    assert parse(block).annotators == {"0": []}
