"""Attacks are the same each time, change the sentence, and are counted as the scorer decides."""

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from fluency import FluencyScorer
from fluency.cli.commands import main
from fluency.evaluation.support import Support
from fluency.scorer.attack import KINDS, _unmended, attack
from fluency.scorer.params import AttackParams
from fluency.utils.errors import UserError
from stages.attack import main as run_stage
from tests.helpers.tables import write

PAIRS = [
    {"before": before, "after": after, "label": label}
    for before, after, label in (
        ("the cat is very big", "the cat are very big", 0),
        ("a dog runs in the house", "a dog run in the house", 0),
        ("the cat runs", "cat the runs", 0),
        ("the dog is a cat", "the dog is the cat", 1),
    )
]
OTHERS = [pair["before"] for pair in PAIRS]
PARAMS = AttackParams(tries=2, rounds=3, max_accepted=None, seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_changes_the_sentence_and_is_drawn_by_its_seed(kind):
    made = [KINDS[kind](OTHERS[number % 4], OTHERS, random.Random(number)) for number in range(50)]
    assert made == [KINDS[kind](OTHERS[number % 4], OTHERS, random.Random(number)) for number in range(50)]
    assert all(after.strip() for after in made)
    assert sum(after == OTHERS[number % 4] for number, after in enumerate(made)) <= 1  # no case may be swapped
    assert len(set(made)) > {"unrelated": 3, "doubled": 3}.get(kind, 7)


def with_threshold(scorer, threshold, **more):
    return FluencyScorer(scorer.classifier, replace(scorer.calibration, threshold=threshold, **more))


def test_what_the_scorer_accepts_gets_through(scorer):
    found = attack(with_threshold(scorer, 0.0), PAIRS, PARAMS)
    assert set(found) == {*KINDS, "separated_harm", "chain", "erosion", "unmended", "best_of_n"}
    assert all(its["edits"] == 2 for its in found.values())
    assert found["unrelated"]["accepted"] == 2
    assert found["separated_harm"]["rate"] == found["chain"]["rate"] == found["unrelated"]["rate"] == 1.0
    assert found["unrelated"]["rate_low"] == pytest.approx(0.05 ** (1 / 2))
    assert attack(with_threshold(scorer, 0.0), PAIRS, PARAMS) == found
    assert {its["rate"] for its in attack(with_threshold(scorer, 1.0), PAIRS, PARAMS).values()} == {0.0}


def test_nothing_outside_support_gets_through_and_the_model_is_not_asked_about_it(scorer, monkeypatch):
    none = Support(1.0, {"words": (0, 0), "characters": (0, 0), "changed": (0, 0), "share": (0, 0)})
    outside = with_threshold(scorer, 0.0, support=none)
    monkeypatch.setattr(outside.classifier, "logits", None)
    found = attack(outside, PAIRS, PARAMS)
    assert {its["rate"] for its in found.values()} == {0.0}
    assert {found[kind]["outside_support"] for kind in ("unrelated", "chain", "erosion", "best_of_n")} == {2}


def test_what_is_outside_support_is_counted_by_kind_where_it_ends_there(scorer):
    """Not where an earlier step is refused; of the best of several, where none of them is within."""
    narrow = Support(1.0, {"words": (1, 99), "characters": (0, 999), "changed": (0, 3), "share": (0, 1)})
    found = attack(with_threshold(scorer, 0.0, support=narrow), PAIRS, PARAMS)
    counts = {kind: its["outside_support"] for kind, its in found.items()}
    assert (counts["doubled"], counts["noise"], counts["left_open"]) == (1, 0, 0)  # 5 words more, and 3
    assert (found["doubled"]["accepted"], found["erosion"]["accepted"], counts["erosion"]) == (1, 2, 0)
    refused = attack(with_threshold(scorer, 1.0, support=narrow), PAIRS, PARAMS)
    assert (refused["chain"]["outside_support"], refused["doubled"]["outside_support"]) == (0, 1)


class Deciding:
    """A scorer that accepts what `accepts` says, and keeps what it was asked."""

    calibration = Mock(threshold=1.0)

    def __init__(self, accepts):
        self.accepts, self.asked = accepts, []

    def score_stream(self, changes, **_):
        self.asked.append(changes)
        return [float(self.accepts(*change)) for change in changes]


def test_all_kinds_take_the_same_sentences_of_the_shorter_half():
    """So the model reads what they share once, and the gate is fast; none comes twice, however many are asked for."""
    scorer = Deciding(lambda *_: False)
    attack(scorer, PAIRS, replace(PARAMS, tries=12))
    (changes,) = scorer.asked  # a chain ends at its first refused step
    its = [before for before, _ in changes]
    half = len(KINDS) + 4 + PARAMS.rounds - 1
    assert len(its) == 2 * half
    assert [set(its[:half]), set(its[half:])] == [  # one begins with the harm
        {"the cat runs", "cat the runs"}, {"the cat is very big", "the cat are very big"},
    ]  # fmt: skip


def test_a_chain_gets_through_only_as_a_whole():
    found = attack(Deciding(lambda before, _: before in OTHERS), PAIRS, PARAMS)  # the first step of each
    assert found["noise"]["rate"] == 1.0
    assert found["chain"]["rate"] == found["erosion"]["rate"] == 0.0


def test_of_the_best_of_several_draws_one_is_enough(monkeypatch):
    """The first of them is the random words that count by themselves too."""
    ways = iter([False, False, True] * 2)
    monkeypatch.setitem(KINDS, "random_words", lambda sentence, *_: f"{sentence} way")
    monkeypatch.setattr("fluency.scorer.attack._random_words", KINDS["random_words"])
    found = attack(Deciding(lambda _, after: after.endswith("way") and next(ways)), PAIRS, PARAMS)
    assert (found["best_of_n"]["rate"], found["random_words"]["rate"]) == (1.0, 0.0)


@pytest.mark.parametrize("unseen", ["", " ", "\u200b"])
def test_a_step_that_no_reader_sees_is_no_success(monkeypatch, unseen):
    monkeypatch.setitem(KINDS, "noise", lambda sentence, *_: sentence + unseen)
    assert attack(Deciding(lambda *_: True), PAIRS, PARAMS)["noise"]["rate"] == 0.0


def test_nonsense_stands_in_the_place_of_the_harm():
    scorer = Deciding(lambda *_: False)
    attack(scorer, PAIRS, PARAMS)
    of_harm = [(before, after) for before, after in scorer.asked[0] if before not in OTHERS]
    assert [before for before, _ in of_harm] == ["cat the runs", "the cat are very big"]
    assert all(after.startswith("the cat ") and after.endswith(" very big") for _, after in of_harm[1:])
    assert len(of_harm[1][1].split()) == 6


@pytest.mark.parametrize(
    ("sentence", "harmed", "after"),
    [
        ("He goes home.", "He goes homes.", r"He goes \w+ \w+\."),
        ("He likes tea.", "He likes the tea.", r"He likes \w+ \w+ tea\."),
        ("He likes the tea.", "He likes tea.", r"He likes \w+ \w+ tea\."),
        ("Go home.", "home.", r"\w+ \w+ home\."),
    ],
)
def test_nonsense_leaves_the_rest_as_it_is(sentence, harmed, after):
    assert re.fullmatch(after, _unmended(sentence, harmed, random.Random(1)))


def test_too_few_sentences_are_told():
    with pytest.raises(UserError, match="attack: needs two sentences that have a pair with label 0"):
        attack(Deciding(lambda *_: True), PAIRS[2:], PARAMS)


@pytest.fixture
def project(tmp_path, monkeypatch, scorer):
    """A folder with test pairs, a limit in its params, and a scorer that accepts all that it may."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FluencyScorer, "load", lambda *_: with_threshold(scorer, 0.0))
    Path("data/pairs").mkdir(parents=True)
    write(Path("data/pairs/test.parquet"), PAIRS)
    Path("params.yaml").write_text("attack: {tries: 4, rounds: 2, max_accepted: 0.02, seed: 1}\n")


FAILED = r"attack: 100\.0% of \w+ are accepted, where 2\.0% are the most \({}\); a higher threshold"
OF_PARAMS = FAILED.format(r"attack\.max_accepted")


def test_the_stage_writes_the_figures_and_fails_above_its_limit(project):
    with pytest.raises(UserError, match=OF_PARAMS):
        run_stage()
    assert json.loads(Path("metrics/attack.json").read_text())["unrelated"]["accepted"] == 2
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("0.02", "null"))
    run_stage()  # nothing is too much


def test_the_command_prints_the_same_and_leaves_the_stages_figures_alone(project, capsys):
    with pytest.raises(SystemExit, match=f"error: {OF_PARAMS}"):
        main(["attack"])
    assert "| unrelated      |     2 |               0 | 100.0% (22.4%-100.0%) |" in capsys.readouterr().out
    assert not Path("metrics").exists()


def test_what_the_command_is_given_stands_above_params(project, capsys):
    main(["attack", "--limit", "1", "--tries", "1", "--rounds", "1"])
    assert "| unrelated      |     1 |" in capsys.readouterr().out
    Path("params.yaml").write_text("attack: {tries: 4, rounds: 2, max_accepted: null, seed: 1}\n")
    with pytest.raises(SystemExit, match=f"error: {FAILED.format('--limit')}"):
        main(["attack", "--limit", "0.02"])
