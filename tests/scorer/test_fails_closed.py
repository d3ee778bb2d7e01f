"""What the model cannot know, it does not get a score for: changes it cannot see, edits like none of validation's."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluency import CannotScore, FluencyScorer
from fluency.edits.edit import Edit
from fluency.edits.forms import EmptySentence
from fluency.edits.sentence import visible
from fluency.evaluation.support import OutsideSupport, Support
from fluency.scorer.outcome import UnseenChange
from fluency.scorer.reward import FluencyReward
from fluency.scorer.rewrite import NoEdit
from fluency.utils.errors import UserError

EDIT = ("the cat sat", "the cat sits")
FAR = ("the cat sat", "a dog is very big in the house")
NARROW = Support(0.99, {"words": (2, 10), "characters": (0, 100), "changed": (0, 3), "share": (0, 0.9)})


@pytest.fixture(scope="module")
def narrow(scorer):
    """A scorer whose validation had short edits only."""
    return FluencyScorer(scorer.classifier, replace(scorer.calibration, support=NARROW))


def test_what_no_reader_sees_is_no_change(scorer):
    for other in (
        "the cat sat ",
        "\ufeffthe cat\u00a0sat",
        "the\ncat sat",
        "t\u200bhe c\u00adat sat\ufe0f",
        "the cat \x07sat",
    ):
        assert scorer.score_edits([("the cat sat", other), (other, "the cat sat")]).tolist() == [1.0, 1.0]
    for accented in ("cafe\u0301", "cafe\u200d\u0301", "cafe\u0301\u200b"):
        assert scorer.score(accented, "caf\u00e9") == 1.0


def test_a_blank_or_invisible_mark_beside_an_edit_does_not_change_its_score(scorer):
    assert scorer.score("the cat  sat\n", "the\u200b cat sits ") == scorer.score(*EDIT)


@given(
    words=st.lists(st.text("abc", min_size=1), min_size=1),
    blanks=st.lists(st.sampled_from([" ", "\n", "\t ", "\u2009", "\u00a0\u200b"]), min_size=20, max_size=20),
)
def test_the_normal_form_does_not_depend_on_blanks_and_stays_itself(words, blanks):
    spaced = "".join(word + blank for word, blank in zip(words, blanks, strict=False))
    assert visible(spaced) == " ".join(words[: len(blanks)])
    assert visible(visible(spaced)) == visible(spaced)


def test_a_sentence_of_invisible_characters_is_empty(scorer):
    with pytest.raises(EmptySentence, match="after: empty"):
        scorer.score("the cat", "\u200b\u2060")


@pytest.mark.parametrize("change", [("the cat sat", "the CAT sat"), ("the cat ☂", "the cat ☃")])
def test_a_change_that_the_tokenizer_cannot_see_has_no_score(scorer, change):
    """This one drops case, and has one token for all characters that it does not know."""
    (outcome,) = scorer.score_stream([change])
    assert isinstance(outcome, UnseenChange)
    assert not scorer.decide([change], errors="nan", threshold=0.0)[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_model_that_gives_no_number_is_an_error_whatever_becomes_of_edits(scorer, bad):
    class Broken:
        reader = scorer.classifier.reader

        def logits(self, items):
            return np.array([[0.0, bad]] * len(items), dtype=np.float32)

    with pytest.raises(UserError, match=r"\('the cat sat', 'the cat sits'\): the model gives no number"):
        FluencyScorer(Broken(), scorer.calibration).score_edits([EDIT], errors="nan")


def test_an_edit_outside_support_is_refused_scored_or_marked(scorer, narrow):
    what = "outside support; 8 words and marks changed, where validation has 0 to 3"
    with pytest.raises(OutsideSupport, match=f"edit 1: {what}"):
        narrow.score_edits([EDIT, FAR], outside="refuse")
    trusted = scorer.score_edits([EDIT, FAR])
    assert narrow.score_edits([EDIT, FAR]) == pytest.approx(trusted, abs=1e-5)
    for how in ({"outside": "nan"}, {"outside": "refuse", "errors": "nan"}):
        assert np.isnan(narrow.score_edits([EDIT, FAR], **how)).tolist() == [False, True]
    outcome = list(narrow.score_stream([EDIT, FAR]))[1]
    assert str(outcome) == what
    assert outcome.score == pytest.approx(trusted[1], abs=1e-5)


def test_no_edit_outside_support_is_accepted_unless_asked_for(narrow):
    assert narrow.decide([EDIT, FAR], threshold=0.0).tolist() == [True, False]
    assert narrow.decide([EDIT, FAR], threshold=0.0, outside="nan").tolist() == [True, False]
    assert narrow.decide([EDIT, FAR], threshold=0.0, outside="score").tolist() == [True, True]
    with pytest.raises(ValueError, match="outside: 'ignore' is none of refuse, score, nan"):
        narrow.decide([EDIT], outside="ignore")


def test_the_model_is_asked_about_an_edit_outside_support_only_for_its_score(narrow, monkeypatch):
    asked = []
    logits = narrow.classifier.logits
    monkeypatch.setattr(narrow.classifier, "logits", lambda items: asked.append(len(items)) or logits(items))
    narrow.decide([EDIT, FAR])
    narrow.score_edits([EDIT, FAR], outside="nan")
    assert asked == [1, 1]
    narrow.score_edits([EDIT, FAR])
    FluencyReward(narrow)([""] * 2, [EDIT[1], FAR[1]], before=[EDIT[0]] * 2)  # its monitor looks at all scores
    assert asked[2:] == [2, 2]


def test_no_change_is_inside_whatever_its_length(narrow):
    assert narrow.score("the cat " * 90, "the cat " * 90) == 1.0


def test_a_rewrite_is_judged_edit_by_edit_in_both_contexts(scorer):
    before, after = "the cat sat in the big house", "a cat sat in the small house"
    found = scorer.score_rewrite(before, after)
    assert [its.edit for its in found.edits] == [Edit(0, "the", "a"), Edit(19, "big", "small")]
    one, other = "a cat sat in the big house", "the cat sat in the small house"
    expected = [
        min(scorer.score(before, one), scorer.score(other, after)),
        min(scorer.score(before, other), scorer.score(one, after)),
    ]
    assert [its.score for its in found.edits] == pytest.approx(expected, abs=1e-5)
    assert (found.least, found.product) == pytest.approx((min(expected), np.prod(expected)), abs=1e-5)
    assert found.accepted == (found.least >= scorer.calibration.threshold)


def test_a_rewrite_of_one_edit_scores_as_the_edit_and_of_none_as_no_change(scorer):
    assert scorer.score_rewrite(*EDIT).least == pytest.approx(scorer.score(*EDIT), abs=1e-5)
    same = scorer.score_rewrite("the cat sat", "the cat\nsat ")
    assert (same.edits, same.least, same.product, same.accepted) == ([], 1.0, 1.0, True)


def test_a_text_in_anothers_place_is_no_rewrite(scorer):
    with pytest.raises(NoEdit, match="no edit; 100% of its words and marks change, where 50% are the most"):
        scorer.score_rewrite(*FAR)
    assert len(scorer.score_rewrite(*FAR, max_share=1.0).edits) == 1


def test_a_rewrite_with_an_edit_that_cannot_be_judged_is_not_accepted(scorer, narrow):
    before = "the cat sat in the house the dog runs"
    far = narrow.score_rewrite(before, "a cat is very big the dog runs", max_share=1.0)
    assert not far.accepted
    assert any(its.reason.startswith("outside support") for its in far.edits)
    unseen = scorer.score_rewrite(before, "The cat sat in a house the dog runs")
    assert [its.reason for its in unseen.edits] == ["the model's tokenizer sees no change", ""]
    assert np.isnan([unseen.least, unseen.product]).all()
    assert not unseen.accepted


def test_many_edits_are_scored_with_the_others_applied(scorer):
    before, after = "the cat " * 8, "the dog " * 8
    found = scorer.score_rewrite(before, after)
    without_first = "the cat " + "the dog " * 7
    assert len(found.edits) == 8
    assert found.edits[0].score == pytest.approx(scorer.score(without_first, after), abs=1e-5)


def test_edits_come_as_records_frames_and_arrays(scorer):
    edits = [EDIT, ("a cat", "a dog"), ("the cat", "the dog")]
    expected = scorer.score_edits(edits)
    columns = {name: list(values) for name, values in zip(("before", "after"), zip(*edits, strict=True), strict=True)}
    records = [dict(zip(columns, edit, strict=True)) for edit in edits]
    for form in (
        records,
        columns,
        pd.DataFrame(columns),
        pa.table(columns),
        {name: pa.chunked_array([values]) for name, values in columns.items()},
        np.array(edits),
        np.array(edits, dtype=object),
        iter(edits),
    ):
        assert scorer.score_edits(form) == pytest.approx(expected, abs=1e-5)
    parts = pd.DataFrame(
        {"sentence": ["a cat", "cat cat"], "part": ["cat"] * 2, "rewrite": ["dog"] * 2, "occurrence": [None, 1.0]}
    )
    assert scorer.score_edits(parts) == pytest.approx(
        scorer.score_edits([("a cat", "a dog"), ("cat cat", "cat dog")]), abs=1e-5
    )


def test_what_is_no_table_is_not_taken_for_one(scorer):
    """A record's letters, a column of two, or the rest of a longer column would be scored without a word."""
    frame = pd.DataFrame({"before": ["a cat", "a dog"], "after": ["the cat", "the dog"]})
    with pytest.raises(ValueError, match="two columns are called 'before'; rename one"):
        scorer.score_edits(pd.concat([frame, frame], axis=1))
    with pytest.raises(ValueError, match="two columns are called 'after'"):
        scorer.score_edits(pa.table([["a"], ["b"], ["c"]], names=["before", "after", "after"]))
    with pytest.raises(TypeError, match="one row, where columns are needed; put it into a list"):
        scorer.score_edits({"before": "cat", "after": "dog"})
    with pytest.raises(ValueError, match=r"columns of several lengths: {'before': 2, 'after': 1}"):
        scorer.score_edits({"before": ["a", "b"], "after": ["c"]})


def test_a_share_that_is_none_is_no_limit(scorer):
    for share in (50, -0.1, float("nan")):
        with pytest.raises(ValueError, match="max_share: must be between 0 and 1"):
            scorer.score_rewrite("the cat sat", "a dog ran", max_share=share)


def test_two_columns_are_not_taken_for_two_edits(scorer):
    before, after = ["a cat", "the cat"], ["a dog", "the dog"]
    for columns in ([before, after], (before, after), [pd.Series(before), pd.Series(after)], [np.array(before)] * 2):
        with pytest.raises(ValueError, match=r"two edits, or two columns\? Give edits as tuples"):
            scorer.score_edits(columns)
    assert len(scorer.score_edits(list(zip(before, after, strict=True)))) == 2
    with pytest.raises(CannotScore):
        scorer.score_edits([before * 5, after * 5])
