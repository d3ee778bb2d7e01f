"""An edit head goes the whole way: encoded, trained, calibrated and loaded, it scores as its pairs were read."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from fluency import FluencyScorer
from fluency.edits.forms import TooLong
from fluency.model.classifier import Classifier, load_classifier, predict
from fluency.model.device import Device
from fluency.model.edit_reader import EditReader
from fluency.model.encoded_pairs import EncodedPairs
from fluency.model.params import EncodeParams
from fluency.scorer.export import export_one_logit
from fluency.utils.errors import UserError
from tests.conftest import ROOT
from tests.helpers.language_models import CHANGES, head_project, run_stages
from tests.helpers.trainings import cpu_processes

MODEL = "models/fluency"


@pytest.fixture(scope="module")
def trained(language_model, tmp_path_factory) -> Path:
    """A folder in which an edit head was trained and calibrated; tests only look at it."""
    folder = head_project(tmp_path_factory.mktemp("head") / "project", language_model)
    run_stages(folder, "encode_pairs", "train", "calibrate")
    return folder


@pytest.fixture(scope="module")
def scorer(trained) -> FluencyScorer:
    return FluencyScorer.load(trained / MODEL)


@pytest.fixture(scope="module")
def classifier(trained) -> Classifier:
    return load_classifier(trained / MODEL, Device("cpu", bf16=False))


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / MODEL / "edit_head.safetensors")


def test_a_training_again_gives_the_same_bytes_and_leaves_nothing_else(trained, language_model, tmp_path):
    again = head_project(tmp_path / "project", language_model)
    run_stages(again, "encode_pairs", "train", "calibrate")
    one, other = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (trained, again)
    )
    assert one == other
    assert {path.parts[0] for path in one} == {"data", "dvc.yaml", "metrics", "models", "params.yaml"}


def test_training_moves_all_but_what_standardises(trained, language_model, tmp_path):
    started = head_project(tmp_path / "project", language_model, learning_rate=1e-9)
    run_stages(started, "encode_pairs", "train")
    before = weights(started)
    unmoved = {name for name, values in weights(trained).items() if np.abs(values - before[name]).max() < 1e-6}
    assert unmoved == {"feature_mean", "feature_scale", "state_mean", "state_scale"}


def test_two_processes_train_as_one(language_model, tmp_path):
    """Without dropout, whose random numbers each process draws for itself."""
    changes = {"dropout": 0.0, "state_dropout": 0.0, "accelerate_config": "own.yaml"}
    one, two = (head_project(tmp_path / name, language_model, **changes) for name in ("one", "two"))
    for count, folder in enumerate((one, two), 1):
        (folder / "own.yaml").write_text(yaml.safe_dump(cpu_processes(count)), encoding="utf-8")
        run_stages(folder, "encode_pairs")
    run_stages(one, "train")
    for package in ("fluency", "stages", "accelerate_configs"):
        shutil.copytree(ROOT / package, two / package, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([sys.executable, "-m", "stages.train"], cwd=two, capture_output=True, text=True)
    assert "training: 2 cpu processes x 2 pairs x 1 accumulated = 4 pairs a step" in done.stdout, done.stderr
    found = weights(two)
    for name, expected in weights(one).items():
        assert np.abs(found[name] - expected).max() < 1e-4, name


def test_predictions_keep_their_order_and_what_occurs_twice_is_read_once(classifier, trained, monkeypatch):
    read, counts = EditReader.read, []
    monkeypatch.setattr(EditReader, "read", lambda *args, **rest: counts.append(len(args[1])) or read(*args, **rest))
    order = [3, 0, 3, 7, 0, 1]
    found = predict(classifier, [CHANGES[row] for row in order], progress="test")
    assert counts == [4]
    encoded = classifier.logits(EncodedPairs(trained / "data/encoded/test"))
    assert encoded.shape == (len(CHANGES), 2)
    assert found == pytest.approx(encoded[order], abs=5e-3)  # in other company, up to a step of float16
    assert np.ptp(encoded[:, 1]) > 0.05  # far more than that


def test_a_scorer_says_what_the_head_says_and_decides_by_the_calibration(scorer, classifier):
    logits = predict(classifier, CHANGES, progress="test")
    scores = scorer.score_edits(CHANGES)
    assert scores == pytest.approx(scorer.calibration.scores(logits), abs=1e-4)
    assert [scorer.score(*change) for change in CHANGES] == pytest.approx(scores, abs=1e-4)
    assert scorer.decide(CHANGES).tolist() == (scores >= scorer.calibration.threshold).tolist()
    middle = float(np.sort(scores)[5:7].mean())
    assert 0 < sum(scorer.decide(CHANGES, threshold=middle)) < len(CHANGES)
    assert scorer.score("He goes.", "He goes.") == 1


def test_it_is_not_exported_for_servers_that_could_not_load_it(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(trained)
    with pytest.raises(UserError, match=r"models/fluency: an edit head, .*model\.kind=cross_encoder"):
        export_one_logit(tmp_path / "served")
    assert not (tmp_path / "served").exists()


def test_a_sentence_too_long_is_refused_and_a_prediction_of_it_is_cut(scorer, classifier):
    change = "She goes home. " * 40, "She go home. " + "She goes home. " * 39
    with pytest.raises(TooLong, match=r"^edit 0: too long; \d+ tokens, where 64 are the most$"):
        scorer.score(*change)
    assert np.isnan(scorer.score_edits([change, CHANGES[0]], errors="nan")).tolist() == [True, False]
    assert np.isfinite(predict(classifier, [change], progress="test")).all()
    reader = scorer.classifier.reader
    assert (reader.max_length, reader.params) == (64, EncodeParams(64, layer=2, following=4)), (
        "the folder alone tells how it reads"
    )
