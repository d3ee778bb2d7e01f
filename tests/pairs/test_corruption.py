"""Rule-made mistakes are single edits of the kind asked for, and the same for the same seed."""

import pytest

from fluency.corpus.ingest import read_corpus
from fluency.pairs.corruption import RULES, corrupt
from fluency.sources.data import fetch_data

RATES = dict.fromkeys(RULES, 1.0)
SENTENCE = "She has given their two children an apple because they quickly finished the homework with him."
EXAMPLES = {
    "agreement": ("She has left.", "She have left."),
    "article": ("He ate an apple.", "He ate apple."),
    "preposition": ("We talked about music.", "We talked at music."),
    "number": ("These cats sleep.", "These cat sleep."),
    "order": ("I fed the cat.", "I fed cat the."),
    "tense": ("He can drive.", "He can drives."),
    "form": ("It rained heavily.", "It rained heavy."),
    "pronoun": ("Give it to me.", "Give it to I."),
    "missing": ("She wants to leave.", "She wants leave."),
    "doubling": ("I fed the cat.", "I fed the the cat."),
    "confusion": ("It lost its way.", "It lost it's way."),
    "spelling": ("A different day.", "A diferent day."),
    "phonetic": ("Take a photograph.", "Take a fotograph."),
    "unfinished": ("I fed the cat.", "I fed the a cat."),
}


@pytest.mark.parametrize("kind", RULES)
def test_each_rule_makes_its_mistake(kind):
    fluent, broken = EXAMPLES[kind]
    assert broken in {edit.apply(fluent) for edit in RULES[kind](fluent)}


@pytest.mark.parametrize("kind", RULES)
def test_every_mistake_fits_its_sentence(kind):
    sample = read_corpus(fetch_data("sample"), "sample")
    for fluent in [row.before for row in sample if row.relation == "sentence"]:
        for edit in RULES[kind](fluent):
            assert edit.apply(fluent) != fluent
            assert "  " not in edit.apply(fluent)


def test_the_same_seed_gives_the_same_mistakes_and_another_seed_others():
    first = [corrupt(SENTENCE, count=3, rates=RATES, seed=str(seed)) for seed in range(20)]
    assert first == [corrupt(SENTENCE, count=3, rates=RATES, seed=str(seed)) for seed in range(20)]
    assert len({tuple(mistakes) for mistakes in first}) > 10


def test_kinds_differ_and_follow_the_rates():
    kinds = [kind for kind, _ in corrupt(SENTENCE, count=4, rates=RATES, seed="1")]
    assert len(set(kinds)) == 4
    assert {kind for kind, _ in corrupt(SENTENCE, count=4, rates=RATES | {"order": 0.0}, seed="1")}.isdisjoint(
        {"order"}
    )
    assert [kind for kind, _ in corrupt(SENTENCE, count=4, rates={"order": 1.0}, seed="1")] == ["order"]


def test_a_sentence_without_a_place_gives_nothing():
    assert corrupt("Hm.", count=3, rates=RATES, seed="1") == []


@pytest.mark.parametrize(
    ("fluent", "broken"),
    [
        ("She goes home.", "She go home."),
        ("He tries hard.", "He try hard."),
        ("It makes sense.", "It make sense."),
        ("We watch it.", "We watches it."),
        ("They try hard.", "They tries hard."),
    ],
)
def test_verbs_disagree_with_their_pronoun(fluent, broken):
    assert broken in {edit.apply(fluent) for edit in RULES["agreement"](fluent)}


@pytest.mark.parametrize("fluent", ["If I were you, I'd go.", "I wish it were so."])
def test_subjunctives_are_no_agreement_mistakes(fluent):
    assert list(RULES["agreement"](fluent)) == []


@pytest.mark.parametrize(
    ("fluent", "also_fluent"),
    [
        ("They will help us soon.", "They help us soon."),
        ("I waited for two hours.", "I waited two hours."),
        ("It kept her from going there.", "It kept her going there."),
        ("We have a few friends.", "We have few friends."),
        ("I talked with my mother.", "I talked to my mother."),
        ("It was made from wood.", "It was made of wood."),
        ("I work from nine until five.", "I work from nine to five."),
        ("I heard about it today.", "I heard of it today."),
        ("The team is ready.", "The team are ready."),
    ],
)
def test_what_is_english_both_ways_is_no_mistake(fluent, also_fluent):
    made = {edit.apply(fluent) for rule in RULES.values() for edit in rule(fluent)}
    assert also_fluent not in made
