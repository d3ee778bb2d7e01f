"""The challenge set says what each of its edits is to be, and training sees none of its sentences."""

from collections import Counter

import pytest

from fluency.corpus.challenge import LENGTHS, ROLES, read_challenge
from fluency.corpus.drafts import Draft, read_sample
from fluency.corpus.ingest import read_corpus
from fluency.edits.edit import Edit
from fluency.edits.sentence import normalise
from fluency.sources.data import CHALLENGE, fetch_data
from fluency.utils.errors import UserError


def test_the_committed_set_has_every_role_at_every_length():
    edits = read_challenge(CHALLENGE)
    assert len({edit.change for edit in edits}) == len(edits) >= 600
    counts = Counter((edit.role, edit.length) for edit in edits)
    assert counts.keys() == {(role, length) for role in ROLES for length in LENGTHS}
    assert min(counts.values()) >= 20
    long = Counter(edit.role for edit in edits if max(len(sentence.split()) for sentence in edit.change) >= 17)
    assert min(long[role] for role in ROLES) >= 40
    assert all(before != after for before, after in (edit.change for edit in edits))


def test_training_sees_none_of_its_sentences():
    rows = list(read_corpus(fetch_data("sample"), "sample"))
    seen = {normalise(sentence) for row in rows for sentence in (row.before, row.after) if sentence}
    challenge = {normalise(sentence) for edit in read_challenge(CHALLENGE) for sentence in edit.change}
    assert len(seen) > 2000
    assert sorted(challenge & seen) == []


def test_a_line_is_read_by_its_mark(tmp_path):
    lines = "# a comment\n\n! truncated: [He is at home|He is at].\n- tense: It [snowed|snows] yesterday.\n"
    (tmp_path / "a.txt").write_text(lines, encoding="utf-8")
    (tmp_path / "b.txt").write_text("= synonym: She [wept|cried].\n", encoding="utf-8")
    (tmp_path / "notes.md").write_text("no edit", encoding="utf-8")
    assert [(edit.role, edit.label, edit.kind, *edit.change) for edit in read_challenge(tmp_path)] == [
        ("absurd", 0, "truncated", "He is at home.", "He is at."),
        ("mistake", 0, "tense", "It snowed yesterday.", "It snows yesterday."),
        ("repair", 1, "tense", "It snows yesterday.", "It snowed yesterday."),
        ("keeping", 1, "synonym", "She wept.", "She cried."),
        ("keeping", 1, "synonym", "She cried.", "She wept."),
    ]


def test_the_longer_sentence_tells_the_length(tmp_path):
    for words, length in (
        (4, "to 4 words"),
        (5, "to 8 words"),
        (8, "to 8 words"),
        (9, "to 16 words"),
        (16, "to 16 words"),
        (17, "longer"),
    ):
        (tmp_path / "a.txt").write_text(f"! kind: [A|{' b' * words}]", encoding="utf-8")
        assert [edit.length for edit in read_challenge(tmp_path)] == [length]


def test_a_line_of_the_sample_that_only_harms_is_labelled():
    (draft,) = read_sample("! truncated: He is [at home|at].")
    assert draft == Draft("labelled", "He is at home.", "He is at.", Edit(6, "at home", "at"), 0, "truncated")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A sentence.", "a sentence without an edit"),
        ("! unrelated: A sentence.", "neither a sentence nor .*"),
        ("? tense: It [snowed|snows].", "neither a sentence nor .*"),
        ("- tense: It [snowed|snows] [now|then].", "neither a sentence nor .*"),
    ],
)
def test_what_is_no_edit_is_told_with_its_place(tmp_path, line, reason):
    with pytest.raises(UserError, match=r"^\S+: holds no \.txt file; the challenge set is part of the repository$"):
        read_challenge(tmp_path)
    (tmp_path / "a.txt").write_text(f"# a comment\n= synonym: She [wept|cried].\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"^\S+a\.txt: line 3: {reason}$"):
        read_challenge(tmp_path)
