"""Batches of columns are scored in workers that load the model once."""

import json
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher

from fluency import FluencyScorer
from fluency.edits.forms import CannotScore
from fluency.scorer.batch_map import ScoreBatch
from fluency.utils.errors import UserError
from tests.conftest import ROOT
from tests.helpers.models import untrained

COLUMNS = {"id": list(range(40)), "before": ["the cat"] * 40, "after": ["a cat", "the cat", " ", "the dog"] * 10}


@pytest.fixture(scope="module")
def models(tiny_model, tmp_path_factory):
    return untrained(tiny_model, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def expected(models):
    scorer = FluencyScorer.load(models / "fluency")
    return scorer.score_edits(zip(COLUMNS["before"], COLUMNS["after"], strict=True), errors="nan")


def test_a_batch_gets_scores_and_decisions(models, expected):
    found = ScoreBatch(models / "fluency")({name: np.array(values) for name, values in COLUMNS.items()})
    assert found["id"].tolist() == COLUMNS["id"]
    np.testing.assert_allclose(found["score"], expected, atol=1e-5)
    assert found["accepted"].tolist() == (found["score"] >= 0.5).tolist()
    assert not found["accepted"][2]  # has no score
    assert found["reason"][:4] == ["", "", "after: empty", ""]
    of_a_table = ScoreBatch(models / "fluency")(Dataset.from_dict(COLUMNS).to_pandas())
    np.testing.assert_allclose(of_a_table["score"], expected, atol=1e-5)


def test_the_operating_point_can_be_moved(models):
    for moved, threshold in (({"threshold": 0.3}, 0.3), ({"min_precision": 0.79, "confidence": 0.95}, 0.9)):
        found = ScoreBatch(models / "fluency", **moved)(COLUMNS)
        assert found["accepted"].tolist() == (found["score"] >= threshold).tolist()


def test_a_batch_of_the_references_columns_is_scored(models):
    columns = {
        "original_sentence": ["the cat saw the cat", "a cat"],
        "inappropriate_part": ["cat", "cat"],
        "rewritten_part": ["dog", "dog"],
        "occurrence": np.array([1, np.nan]),
    }
    found = ScoreBatch(models / "fluency")(columns)["score"]
    scorer = FluencyScorer.load(models / "fluency")
    assert found == pytest.approx(
        [scorer.score("the cat saw the cat", "the cat saw the dog"), scorer.score("a cat", "a dog")], abs=1e-5
    )


def test_a_batch_of_arrow_gets_the_same(models, expected):
    """As Ray and datasets hand it over where they are asked for Arrow."""
    score = ScoreBatch(models / "fluency")
    np.testing.assert_allclose(score(pa.table(COLUMNS))["score"], expected, atol=1e-5)
    scored = Dataset.from_dict(COLUMNS).with_format("arrow").map(score, batched=True).with_format(None)
    assert scored["id"][:] == COLUMNS["id"]
    np.testing.assert_allclose(np.array(scored["score"][:]), expected, atol=1e-5)


def test_a_batch_without_edits_or_with_scores_is_refused(models):
    score = ScoreBatch(models / "fluency")
    with pytest.raises(CannotScore, match="no columns before, after or"):
        score({"text": ["a cat"]})
    with pytest.raises(ValueError, match="score: the batch has such a column already"):
        score(COLUMNS | {"score": [1.0] * 40})
    with pytest.raises(TypeError, match=r"one row, where columns are needed; .* give map `batched=True`"):
        Dataset.from_dict(COLUMNS).map(score)
    with pytest.raises(UserError, match="no model there"):
        ScoreBatch(models)


def test_it_is_light_to_pickle_and_to_import(models):
    assert len(pickle.dumps(ScoreBatch(models / "fluency"))) < 2000
    code = (
        "import sys; from fluency.scorer.batch_map import ScoreBatch; "
        "ScoreBatch(sys.argv[1]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, models / "fluency"], check=False).returncode == 0


def test_datasets_map_scores_in_workers(models, expected):
    rows = Dataset.from_dict(COLUMNS)
    scored = rows.map(ScoreBatch(models / "fluency"), batched=True, batch_size=7, num_proc=2)
    assert scored["id"][:] == COLUMNS["id"]
    np.testing.assert_allclose(scored.with_format("numpy")["score"][:], expected, atol=1e-5)
    assert scored.features["accepted"].dtype == "bool"


def test_a_cache_of_results_tells_models_apart(models, tmp_path):
    """`datasets.map` would serve the scores of a model that has been trained anew since."""
    shutil.copytree(models, tmp_path / "models")
    first, again = (Hasher.hash(ScoreBatch(tmp_path / "models/fluency")) for _ in range(2))
    calibration = tmp_path / "models/calibration.json"
    calibration.write_text(json.dumps(json.loads(calibration.read_text()) | {"slope": 0.3}))
    assert first == again != Hasher.hash(ScoreBatch(tmp_path / "models/fluency"))


def test_ray_data_scores_in_actors(models, expected, monkeypatch):
    import ray  # takes a second

    monkeypatch.chdir(ROOT)  # where the actors find the package, and the folder
    folder = os.path.relpath(models / "fluency")
    ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False)
    try:
        rows = ray.data.from_items(Dataset.from_dict(COLUMNS).to_list())
        scored = rows.map_batches(ScoreBatch, fn_constructor_args=[folder], batch_size=7, concurrency=2).to_pandas()
    finally:
        ray.shutdown()
    scored = scored.sort_values("id")
    np.testing.assert_allclose(scored["score"], expected, atol=1e-5)
    assert scored["accepted"].tolist() == (scored["score"] >= 0.5).tolist()
