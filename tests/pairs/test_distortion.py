"""Absurd edits harm: one a sentence at most, the same for the same seed, and never the other way round."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluency.corpus.ingest import read_corpus
from fluency.pairs.distortion import DISTORTIONS, distort
from fluency.pairs.pair import pairs_of
from fluency.params import load_params
from fluency.sources.data import fetch_data

RATES, PARAMS = dict.fromkeys(DISTORTIONS, 1.0), load_params().pairs
ROWS = [row for row in read_corpus(fetch_data("sample"), "sample") if row.relation == "sentence"]
SAMPLE = [(row.before, other.before) for row, other in zip(ROWS, [*ROWS[1:], ROWS[0]], strict=True)]
WORDS = st.lists(st.sampled_from("the a cat dog has have runs of to very very, it".split()), min_size=1, max_size=12)
SENTENCES = st.tuples(WORDS, st.sampled_from([" ", "  ", "\t"])).map(lambda its: its[1].join(its[0]))


def afters(rates=RATES, seed=1) -> list[tuple[str, str, str, str] | None]:
    """Of each sentence of the sample: the kind, itself, the other and the sentence after."""
    found = [distort(*its, rates=rates, rng=Random(f"{seed}{its}")) for its in SAMPLE]
    return [one and (one[0], *its, one[1].apply(its[0])) for one, its in zip(found, SAMPLE, strict=True)]


@given(SENTENCES, SENTENCES, st.sampled_from(sorted(RATES)), st.integers(0, 99))
def test_the_sentence_after_differs_in_more_than_its_spaces(sentence, other, kind, seed):
    found = distort(sentence, other, rates={kind: 1.0}, rng=Random(seed))
    assert found is None or (found[0], found[1].apply(sentence).split() != sentence.split()) == (kind, True)


def test_every_kind_occurs_and_one_without_a_rate_does_not():
    assert {one[0] for one in afters() if one} == set(DISTORTIONS)
    assert "shuffled" not in {one[0] for one in afters(rates=RATES | {"shuffled": 0.0}) if one}
    with pytest.raises(KeyError, match="unknown"):
        afters(rates={"unknown": 1.0})


def test_each_kind_leaves_what_its_name_says():
    for kind, before, other, after in filter(None, afters()):
        words, left = before.split(), after.split()
        assert {
            "unrelated": after == other or (left[0], left[-1]) == (words[0], other.split()[-1]),
            "truncated": left == words[: len(left)] != words,
            "fragment": f" {after}" in before and 2 <= len(left) <= 4,
            "shuffled": sorted(left) == sorted(words),
            "repeated": set(left) == set(words) and len(left) > len(words),
            "several": after != other,
        }[kind], (kind, after)


def test_absurd_pairs_are_to_be_refused_and_their_reverse_is_no_pair_of_theirs():
    params = replace(PARAMS, augment=replace(PARAMS.augment, absurd=replace(PARAMS.augment.absurd, share=1.0)))
    found = []
    for row, (sentence, other) in zip(ROWS[:200], SAMPLE, strict=False):
        its = [pair for pair in pairs_of(row, params, other) if pair.part == "absurd"]
        assert [pair.before for pair in its] in ([], [sentence])
        found += its
    assert {pair.label for pair in found} == {0}
    assert {pair.kind for pair in found} == set(DISTORTIONS)
    assert len(found) > 150
