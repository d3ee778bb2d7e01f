"""Scores are probabilities that depend on the edit alone, whatever process or thread asks."""

import json
import multiprocessing
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fluency import FluencyScorer
from fluency.edits.edit import Edit
from fluency.edits.forms import EditNotFound, EmptySentence, TooLong
from fluency.evaluation import support
from fluency.evaluation.monitor import Monitor
from fluency.model.device import Device
from fluency.model.encoding import PairReader, batches, collate, load_tokenizer
from fluency.utils.errors import UserError
from tests.helpers.models import untrained

PAIRS = [(" ".join(["the cat"] * size), " ".join(["the cat", "sat"] * size)) for size in (1, 30, 2, 7, 15, 3, 1, 90)]


@pytest.fixture(scope="module")
def models(tiny_model, tmp_path_factory):
    """A models/ folder as the pipeline leaves it, with an untrained model."""
    return untrained(tiny_model, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def scorer(models):
    return FluencyScorer.load(models / "fluency", bf16=False)


def test_scores_are_probabilities_in_the_order_of_the_edits(scorer):
    together = scorer.score_edits(PAIRS)
    assert together == pytest.approx([scorer.score(*pair) for pair in PAIRS], abs=1e-5)
    assert np.all((together > 0) & (together < 1))


def test_decisions_are_at_the_operating_point_or_where_asked(scorer):
    scores = scorer.score_edits(PAIRS)
    assert scorer.decide(PAIRS).tolist() == (scores >= 0.5).tolist()
    assert scorer.decide(PAIRS, threshold=float(scores[2])).tolist() == (scores >= scores[2]).tolist()


def test_no_edits_give_no_scores(scorer):
    assert scorer.score_edits([]).shape == (0,)
    assert scorer.decide([]).dtype == bool


def test_each_form_of_an_edit_scores_as_its_sentences_do(scorer):
    forms = [("the cat", "the dog"), ("the cat", "cat", "dog"), ("the cat", Edit(4, "cat", "dog"))]
    assert len(set(scorer.score_edits(forms).tolist())) == 1


@pytest.mark.parametrize("outside", ["score", "nan", "refuse"])
def test_the_words_of_an_edit_are_counted_once(scorer, monkeypatch, outside):
    """By aligning its sentences, which takes time."""
    aligned = []
    extract = support.extract
    monkeypatch.setattr(support, "extract", lambda *change: aligned.append(change) or extract(*change))
    scorer.score_edits(PAIRS[:4], outside=outside)
    assert aligned == PAIRS[:4]


def test_of_the_rewrites_of_a_sentence_one_counts_for_a_monitor_as_often_as_it_comes(scorer):
    rewrites = [("the cat sat", f"the cat sat {word}") for word in ("a", "in", "is", "the")]
    for edits, counted in ((rewrites, 1), ([*rewrites, ("a cat", "the cat")], 2), (rewrites[:2] * 3, 3)):
        monitor = Monitor(scorer.calibration.reference)
        assert len(list(scorer.score_stream(edits, monitor=monitor))) == len(edits)
        assert monitor.edits == counted


def test_an_edit_that_changes_nothing_scores_one(scorer):
    assert scorer.score_edits([("the cat", "the cat"), ("the cat", "cat", "cat")]).tolist() == [1.0, 1.0]


def test_what_cannot_be_scored_raises_or_is_marked_in_its_place(scorer):
    edits = [("the cat", "a cat"), ("a", " "), ("the cat", "dog", "cat"), ("the " * 600, "a cat"), ("a", "b")]
    scores = scorer.score_edits(edits, errors="nan")
    assert np.isnan(scores).tolist() == [False, True, True, True, False]
    assert scores[[0, 4]].tolist() == scorer.score_edits([edits[0], edits[4]]).tolist()
    assert not scorer.decide(edits, errors="nan", threshold=0.0)[1:4].any()
    for index, error, message in (
        (1, EmptySentence, "edit 1: after: empty"),
        (2, EditNotFound, "edit 2: part: 'dog' does not"),
        (3, TooLong, "edit 3: too long; 605 tokens, where 512 are the most"),
    ):
        with pytest.raises(error, match=message):
            scorer.score_edits([edits[0]] * index + [edits[index]])


def test_the_operating_point_can_be_moved_along_validations_curve(scorer):
    scores = scorer.score_edits(PAIRS)
    assert scorer.decide(PAIRS, min_precision=0.7).tolist() == (scores >= 0.5).tolist()
    assert scorer.decide(PAIRS, min_precision=0.9).tolist() == (scores >= 0.9).tolist()
    assert scorer.decide(PAIRS, min_precision=0.79).tolist() == (scores >= 0.5).tolist()  # as found on validation,
    assert scorer.decide(PAIRS, min_precision=0.79, confidence=0.95).tolist() == (scores >= 0.9).tolist()  # and surely
    with pytest.raises(UserError, match=r"^min_precision: a precision of 0.99 is not certified with 95 % confidence; "):
        scorer.decide(PAIRS, min_precision=0.99, confidence=0.95)
    with pytest.raises(ValueError, match="confidence: needs min_precision"):
        scorer.decide(PAIRS, confidence=0.95)
    with pytest.raises(ValueError, match="give one of them"):
        scorer.decide(PAIRS, min_precision=0.7, threshold=0.5)


def test_arguments_that_mean_nothing_are_refused(scorer):
    with pytest.raises(ValueError, match="errors: 'ignore' is none of"):
        scorer.score_edits(PAIRS, errors="ignore")


def test_a_stream_is_scored_as_it_comes_and_an_edit_once(scorer, monkeypatch):
    monkeypatch.setattr(FluencyScorer, "at_once", 4)
    taken, asked = [], []

    def edits():
        for number in range(100):
            taken.append(number)
            yield "the cat", f"the cat {number % 2}"

    class Counting:
        reader = scorer.classifier.reader

        def logits(self, items):
            asked.append(len(items))
            return scorer.classifier.logits(items)

    stream = FluencyScorer(Counting(), scorer.calibration).score_stream(edits())
    first = [next(stream), next(stream)]
    assert len(taken) <= 8
    assert [*first, *stream] == pytest.approx(scorer.score_edits([("the cat", f"the cat {n}") for n in (0, 1)] * 50))
    assert asked == [2] * 25


@given(order=st.permutations(range(len(PAIRS))), cut=st.integers(1, 5), budget=st.sampled_from([16, 200, 4096]))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_score_depends_on_the_edit_alone(scorer, monkeypatch, order, cut, budget):
    monkeypatch.setattr(FluencyScorer, "at_once", cut)
    monkeypatch.setattr(Device, "batch_tokens", budget)
    found = scorer.score_edits([PAIRS[place] for place in order])
    assert found == pytest.approx([scorer.score(*PAIRS[place]) for place in order], abs=1e-5)


def test_bfloat16_is_near_float32_and_its_logits_are_not_coarse(models, scorer):
    halved = FluencyScorer.load(models / "fluency", bf16=True)
    assert halved.score_edits(PAIRS) == pytest.approx(scorer.score_edits(PAIRS), abs=2e-2)
    classifier = halved.classifier
    logits = classifier.logits(classifier.reader.tokenise(PAIRS, cut=False))
    coarse = torch.from_numpy(logits).bfloat16().float().numpy()
    assert logits == pytest.approx(coarse, rel=1e-2)
    assert np.all(logits != coarse)


def test_threads_share_a_scorer(scorer):
    changes = [(before, f"{after} {number}") for before, after in PAIRS for number in range(8)]
    alone = scorer.score_edits(changes)
    with ThreadPoolExecutor(8) as pool:
        shares = [changes[thread::8] for thread in range(8)] * 4
        for thread, scores in enumerate(pool.map(scorer.score_edits, shares)):
            assert scores == pytest.approx(alone[thread % 8 :: 8], abs=1e-5)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_scores_with_a_pickled_scorer_and_loads_it_once(models, scorer, method):
    expected = scorer.score_edits(PAIRS)
    assert len(pickle.dumps(scorer)) < 1000
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.starmap(in_worker, [(scorer, PAIRS), (scorer, PAIRS)])
    assert found[0][0] == found[1][0]
    assert found[0][1] == pytest.approx(expected, abs=1e-5)


def in_worker(scorer, edits):
    return id(scorer), scorer.score_edits(edits)


@pytest.fixture
def two_threads():
    """Two of torch's threads, where the tests have one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("pickled", [True, False])
def test_a_forked_worker_does_not_wait_for_its_parents_threads(models, scorer, pickled, two_threads):
    """It does with one thread, in loading already: the parent's OpenMP threads are not forked."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(threads_in_worker, [scorer if pickled else models / "fluency"]) == 1
    assert torch.get_num_threads() == 2


def threads_in_worker(source):
    if not isinstance(source, FluencyScorer):
        FluencyScorer.load(source)
    return torch.get_num_threads()


def test_a_forked_child_uses_its_parents_scorer_even_while_a_thread_of_it_scores(scorer, two_threads):
    expected = scorer.score_edits(PAIRS)
    with scorer._predicting, scorer._tokenising:
        child = multiprocessing.get_context("fork").Process(target=scored_as, args=(scorer, expected))
        child.start()
    child.join()
    assert child.exitcode == 0


def scored_as(scorer, expected):
    def alone(*_: object) -> None:
        assert torch.get_num_threads() == 1  # of more, torch would wait for those that were not forked

    scorer.classifier.model.register_forward_pre_hook(alone)
    assert scorer.score_edits(PAIRS) == pytest.approx(expected, abs=1e-5)


def test_a_scorer_that_was_not_loaded_is_not_pickled(scorer):
    with pytest.raises(TypeError, match=r"only a scorer that FluencyScorer\.load made"):
        pickle.dumps(FluencyScorer(scorer.classifier, scorer.calibration))


def test_batches_hold_every_row_once_within_the_budget():
    lengths = [random.Random(2).randrange(1, 200) for _ in range(500)] + [5000]
    made = list(batches(lengths, 1000))
    assert sorted(row for rows in made for row in rows) == list(range(501))
    assert all(len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= 1000 for rows in made)
    assert made[0] == [500]


def test_encoding_is_cls_before_sep_after_sep(tiny_model):
    tokenizer = load_tokenizer(tiny_model)
    (item,) = PairReader(tokenizer, max_length=64).tokenise([("the cat", "a cat")], cut=True)
    assert tokenizer.convert_ids_to_tokens(item["input_ids"]) == ["[CLS]", "the", "cat", "[SEP]", "a", "cat", "[SEP]"]


def test_long_pairs_lose_the_end_of_the_longer_sentence(tiny_model):
    tokenizer = load_tokenizer(tiny_model)
    (item,) = PairReader(tokenizer, max_length=20).tokenise([("the " * 100, "a cat")], cut=True)
    tokens = tokenizer.convert_ids_to_tokens(item["input_ids"])
    assert len(tokens) == 20
    assert tokens[-4:] == ["[SEP]", "a", "cat", "[SEP]"]


def test_padding_is_masked_and_short():
    features = [{"input_ids": [5] * n, "attention_mask": [1] * n, "labels": n % 2} for n in (3, 9)]
    batch = collate(features, pad_token_id=7)
    assert batch["input_ids"].shape == (2, 16)
    assert batch["input_ids"][0].tolist() == [5] * 3 + [7] * 13
    assert batch["attention_mask"].sum(dim=1).tolist() == [3, 9]
    assert batch["labels"].tolist() == [1, 1]


def test_importing_the_package_is_light():
    import subprocess
    import sys

    code = (
        "import fluency, sys; assert not {'torch', 'numpy', 'transformers'} & set(sys.modules); fluency.FluencyScorer"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_model_folder_names_its_labels(models):
    config = json.loads((models / "fluency/config.json").read_text())
    assert config["label2id"] == {"fluent": 1, "non-fluent": 0}
