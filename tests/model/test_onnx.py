"""Scores of the int8 export are near torch's, or the export is refused."""

import json
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

from fluency import FluencyScorer
from fluency.model import onnx
from fluency.utils.errors import UserError
from tests.helpers.models import untrained
from tests.scorer.test_scorer import PAIRS


@pytest.fixture(scope="module")
def models(tiny_model, tmp_path_factory):
    return untrained(tiny_model, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def scorer(models, cache):
    return FluencyScorer.load(models / "fluency", backend="onnx")


def test_scores_are_near_torchs_whatever_the_shape_of_a_batch(models, scorer):
    exact = FluencyScorer.load(models / "fluency", bf16=False).score_edits(PAIRS)
    assert scorer.score_edits(PAIRS) == pytest.approx(exact, abs=onnx.LARGEST_DIFFERENCE)
    assert scorer.score(*PAIRS[3]) == pytest.approx(exact[3], abs=onnx.LARGEST_DIFFERENCE)
    assert np.any(scorer.score_edits(PAIRS) != exact)


def test_the_export_says_how_far_its_scores_are_off_and_is_kept(models, scorer, cache, capsys):
    (folder,) = filter(Path.is_dir, (cache / "fluency/onnx").iterdir())
    assert {path.name for path in folder.iterdir()} == {"int8.onnx", "check.json"}
    report = json.loads((folder / "check.json").read_text())
    assert 0 < report["largest_difference"] == scorer.model.largest_difference < onnx.LARGEST_DIFFERENCE
    FluencyScorer.load(models / "fluency", backend="onnx")
    assert "exported" not in capsys.readouterr().err


def test_where_one_scale_a_channel_is_too_coarse_blocks_have_theirs(models, scorer, tmp_path, monkeypatch, capsys):
    per_channel = scorer.model.largest_difference
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(onnx, "LARGEST_DIFFERENCE", per_channel * 0.99)
    block_wise = FluencyScorer.load(models / "fluency", backend="onnx")
    assert "int8 weights, block-wise: " in capsys.readouterr().err
    assert 0 < block_wise.model.largest_difference < per_channel
    assert block_wise.score_edits(PAIRS) == pytest.approx(scorer.score_edits(PAIRS), abs=2 * per_channel)


def test_an_export_whose_scores_are_far_off_is_refused_and_not_kept(models, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(onnx, "LARGEST_DIFFERENCE", 1e-9)
    with pytest.raises(UserError, match="with int8 weights, scores differ from torch's by up to 0"):
        FluencyScorer.load(models / "fluency", backend="onnx")
    assert not list(tmp_path.rglob("*.onnx"))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_score_with_it(scorer, method):
    expected = scorer.score_edits(PAIRS)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(scorer.score_edits, [PAIRS]) == pytest.approx(expected, abs=1e-5)
    child = multiprocessing.get_context("fork").Process(target=scored_as, args=(scorer, expected))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert len(pickle.dumps(scorer)) < 1000


def scored_as(scorer, expected):
    assert scorer.score_edits(PAIRS) == pytest.approx(expected, abs=1e-5)
