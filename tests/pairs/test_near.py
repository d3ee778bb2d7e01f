"""Sentences that differ in a name, a number or hardly a word are found, whatever their order; others are not joined."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluency.edits.sentence import hash64
from fluency.pairs import near
from fluency.pairs.near import near_duplicates
from fluency.pairs.words import words

NAMES = "Anna Peter Elizabeth Omar Li Björn Fatima Ivan".split()
CITIES = "Paris London Rome Oslo Cairo Łódź".split()
FAMILIES = [
    "{name} has lived in {city} for {number} years.",
    "The train to {city} leaves at {number} o'clock.",
    "The hall holds {number} people.",
    "My friend {name} bought {number} apples yesterday.",
    "{name} and {other} were married in {city}.",
    "I met {name} in {city}.",
    "{name}'s dog barks at night.",
    "We saw {number},{number} birds, and {other} was happy.",
]


def clusters(sentences, threshold=0.7):
    sets = [sorted(hash64(word) >> 32 for word in words(sentence)) for sentence in sentences]
    flat = np.array([word for its in sets for word in its], dtype=np.uint32)
    return near_duplicates(flat, np.cumsum([len(its) for its in sets], dtype=np.int64), threshold).tolist()


def test_sentences_that_differ_in_names_and_numbers_are_joined():
    rng = random.Random(0)
    sentences, family = [], []
    for number, template in enumerate(FAMILIES):
        for _ in range(15):
            name, other, city = rng.choice(NAMES), rng.choice(NAMES), rng.choice(CITIES)
            sentences.append(template.format(name=name, other=other, city=city, number=rng.randrange(2, 5000)))
            family.append(number)
    found = clusters(sentences)
    assert len(set(zip(family, found, strict=True))) == len(set(found)) == len(FAMILIES)


@pytest.mark.parametrize(
    ("one", "other", "joined"),
    [
        ("The committee agreed to meet again in March.", "The committee has agreed to meet again in May.", True),
        ("Knead the dough again for ten minutes.", "knead THE dough again, for ten minutes!", True),
        ("The bus was crowded this morning.", "The bus was late again last night.", False),
        ("Stop it!", "Whose it?", False),  # too few words to take one for a name
        ("Paris.", "London.", False),
        ("The Rise of the Salt Trade", "The Depth of the Snow Drift", False),  # titles
        ("!!!!", "????", False),
        ("!!!!", "!!!!", True),
        ("我昨天去图书馆看书了。", "我今天去图书馆看书了。", True),
        ("我昨天去图书馆看书了。", "我喜欢喝咖啡。", False),
        ("ผมไปโรงเรียนเมื่อวานนี้กับเพื่อน", "ผมไปโรงเรียนเมื่อเช้านี้กับเพื่อน", True),
    ],
)
def test_which_sentences_are_nearly_the_same(one, other, joined):
    found = clusters([one, other])
    assert (found[0] == found[1]) == joined


def test_the_threshold_says_how_alike():
    one, other = "we like the old red house near a river", "we like the old red barn near a river"
    assert len(set(clusters([one, other], 0.8))) == 1  # 8 of 10 words
    assert len(set(clusters([one, other], 0.81))) == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), max_size=12), st.sampled_from([0.5, 0.7, 1.0]))
def test_only_what_is_alike_is_joined_in_any_order(sets, threshold):
    sentences = [" ".join(sorted(its)) for its in sets]
    found = clusters(sentences, threshold)
    back = clusters(sentences[::-1], threshold)[::-1]
    same = [[one == other for other in its] for its in (found, back) for one in its]
    assert same[: len(sets)] == same[len(sets) :]
    for cluster in set(found):
        members = [its for its, number in zip(sets, found, strict=True) if number == cluster]
        for one in members:  # each has another that is alike, if there are others at all
            assert len(members) == 1 or sum(len(one & other) / len(one | other) >= threshold for other in members) > 1
    for one, number in zip(sets, found, strict=True):
        assert all(number == other for its, other in zip(sets, found, strict=True) if its == one)


def test_nearly_all_that_are_alike_are_found_among_many():
    rng = random.Random(1)
    vocabulary = [f"w{number}x" for number in range(300)]
    originals = [rng.sample(vocabulary, 12) for _ in range(3000)]
    changed = [[*its[1:], "other"] for its in originals]  # 11 of 13 words in common
    found = clusters([" ".join(its) for its in [*originals, *changed]])
    joined = sum(one == other for one, other in zip(found[:3000], found[3000:], strict=True))
    assert joined > 2970
    assert len(set(found)) == 6000 - joined, "nothing else is joined"


def test_a_long_chain_is_not_joined_but_the_same_words_are(monkeypatch):
    """Each is like the next, and the first is nothing like the last."""
    monkeypatch.setattr(near, "_CHAIN", 20)
    chain = [" ".join(f"w{number}x" for number in range(start, start + 9)) for start in range(60)]
    assert len(set(clusters(chain[:15]))) == 1
    assert len(set(clusters(chain))) == 60
    assert len(set(clusters(chain * 2))) == 60
    assert len(set(clusters([f"She has lived here for {number} years." for number in range(60)]))) == 1
