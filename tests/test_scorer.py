"""Scores are probabilities that depend on the pair alone; a model folder that isn't ours is refused."""

import json
import random

import numpy as np
import pytest

from fluency import FluencyScorer
from fluency.__main__ import main
from fluency.calibration import Calibration
from fluency.encoding import collate, encode, load_tokenizer
from fluency.errors import UserError
from fluency.inference import batches
from fluency.training import new_classifier

CURVE = {"threshold": [0.2, 0.5, 0.9], "precision": [0.6, 0.8, 1.0], "recall": [1.0, 0.7, 0.1]}
PAIRS = [(" ".join(["the cat"] * size), " ".join(["the cat", "sat"] * size)) for size in (1, 30, 2, 7, 15, 3, 1, 90)]


@pytest.fixture(scope="module")
def models(tiny_model, tmp_path_factory):
    """A models/ folder as the pipeline leaves it, with an untrained model."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = load_tokenizer(tiny_model)
    new_classifier(tiny_model, tokenizer, 0.0).save_pretrained(folder / "fluency")
    tokenizer.save_pretrained(folder / "fluency")
    Calibration(2.0, 0.5, CURVE).save(folder / "calibration.json")
    return folder


@pytest.fixture(scope="module")
def scorer(models):
    return FluencyScorer.load(models / "fluency")


def test_a_score_does_not_depend_on_company_or_order(scorer):
    together = scorer.score_edits(PAIRS)
    assert together == pytest.approx([scorer.score(*pair) for pair in PAIRS], abs=1e-5)
    order = random.Random(1).sample(range(len(PAIRS)), len(PAIRS))
    assert scorer.score_edits([PAIRS[place] for place in order]) == pytest.approx(together[order], abs=1e-5)
    assert np.all((together > 0) & (together < 1))


def test_decisions_are_at_the_operating_point_or_where_asked(scorer):
    scores = scorer.score_edits(PAIRS)
    assert scorer.decide(PAIRS).tolist() == (scores >= 0.5).tolist()
    assert scorer.decide(PAIRS, threshold=float(scores[2])).tolist() == (scores >= scores[2]).tolist()


def test_one_edit_is_scored_from_the_command_line(models, scorer, capsys):
    main(["score", *PAIRS[0], "--model", str(models / "fluency")])
    score, verdict = capsys.readouterr().out.split(maxsplit=1)
    assert float(score) == pytest.approx(scorer.score(*PAIRS[0]), abs=1e-4)
    assert verdict.startswith("accepted" if scorer.score(*PAIRS[0]) >= 0.5 else "not accepted")


def test_an_empty_sentence_on_the_command_line_is_told_in_one_line():
    with pytest.raises(SystemExit, match="error: both sentences are needed"):
        main(["score", "x", " "])


def test_no_edits_give_no_scores(scorer):
    assert scorer.score_edits([]).shape == (0,)


def test_an_empty_sentence_raises_with_its_index(scorer):
    with pytest.raises(ValueError, match="edit 1 has an empty sentence"):
        scorer.score_edits([("a", "b"), ("a", " ")])


def test_a_folder_without_model_or_calibration_is_refused(models, tmp_path):
    with pytest.raises(UserError, match="no model there"):
        FluencyScorer.load(tmp_path)
    (tmp_path / "fluency").symlink_to(models / "fluency")
    with pytest.raises(UserError, match=r"calibration\.json: no such file"):
        FluencyScorer.load(tmp_path / "fluency")


def test_pickled_weights_are_not_read(models, tmp_path):
    folder = tmp_path / "fluency"
    folder.mkdir()
    for path in (models / "fluency").iterdir():
        if path.suffix == ".json":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    Calibration(1.0, 0.5, CURVE).save(tmp_path / "calibration.json")
    with pytest.raises(OSError, match="safetensors"):
        FluencyScorer.load(folder)


def test_batches_hold_every_row_once_within_the_budget():
    lengths = [random.Random(2).randrange(1, 200) for _ in range(500)] + [5000]
    made = list(batches(lengths, 1000))
    assert sorted(row for rows in made for row in rows) == list(range(501))
    assert all(len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= 1000 for rows in made)
    assert made[0] == [500]


def test_encoding_is_cls_before_sep_after_sep(tiny_model):
    tokenizer = load_tokenizer(tiny_model)
    (item,) = encode(tokenizer, ["the cat"], ["a cat"], max_length=64)
    assert tokenizer.convert_ids_to_tokens(item["input_ids"]) == ["[CLS]", "the", "cat", "[SEP]", "a", "cat", "[SEP]"]


def test_long_pairs_lose_the_end_of_the_longer_sentence(tiny_model):
    tokenizer = load_tokenizer(tiny_model)
    (item,) = encode(tokenizer, ["the " * 100], ["a cat"], max_length=20)
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
