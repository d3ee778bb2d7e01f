"""The whole pipeline, as users run it, on a tiny random ModernBERT."""

import csv
import json
import os
import re
import signal
import subprocess
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from fluency.corpus.challenge import read_challenge
from fluency.corpus.m2 import as_m2
from fluency.metrics import point_metrics
from fluency.utils.files import write_text
from tests.conftest import CORPORA, ROOT, warm_environment
from tests.helpers.processes import wait_until


def read_json(project, name):
    return json.loads((project.folder / name).read_text(encoding="utf-8"))


def test_repro_writes_everything_and_then_does_nothing(trained_project):
    project = trained_project
    test = read_json(project, "metrics/test.json")
    assert set(test) >= {
        "precision", "recall", "f1", "accuracy", "average_precision", "roc_auc", "brier", "log_loss", "ece", "examples",
        "positives", "precision_low", "precision_high", "operating_point", "parts",
    }  # fmt: skip
    assert set(test["operating_point"]) >= {"threshold", "precision", "recall", "f1", "precision_low", "precision_high"}
    assert set(read_json(project, "metrics/baseline.json")) == {"words_alone"}  # the tiny model is no language model
    assert set(read_json(project, "metrics/baseline.json")["words_alone"]) == set(test) - {
        "certified", "checks", "ece_uncalibrated", "log_loss_uncalibrated",
    }  # fmt: skip
    challenge = Counter(edit.role for edit in read_challenge(ROOT / "data/sample/challenge"))
    assert {role: its["edits"] for role, its in read_json(project, "metrics/challenge.json").items()} == challenge

    # The reference's files, in the row order of test.parquet, tell the same story as the metrics.
    results, rows = project.folder / "results", pq.read_table(project.folder / "data/pairs/test.parquet").to_pylist()
    logits, labels = np.loadtxt(results / "predictions.txt"), np.loadtxt(results / "labels.txt", dtype=int)
    assert labels.tolist() == [row["label"] for row in rows]
    assert set(test["parts"]) == {row["part"] for row in rows} >= {"contrast", "hand-written", "rule-made", "absurd"}
    reference = read_json(project, "results/results.json")
    point = point_metrics(logits.argmax(axis=1), labels)
    assert {name: reference[f"test_{name}"] for name in point} == pytest.approx(point)
    assert reference["test_loss"] == pytest.approx(test["log_loss_uncalibrated"])
    predictions = pq.read_table(results / "predictions.parquet").to_pylist()
    at_one_half = point_metrics(np.array([item["score"] > 0.5 for item in predictions]), labels)
    assert {name: test[name] for name in at_one_half} == pytest.approx(at_one_half)
    assert [item["id"] for item in predictions] == [row["id"] for row in rows]

    # What training saw of validation, and what evaluation makes of the saved model.
    seen, found = (
        read_json(project, "metrics/training.json")["validation"],
        read_json(project, "metrics/validation.json"),
    )
    assert found["average_precision"] == pytest.approx(seen["average_precision"], abs=1e-5)
    assert found["log_loss_uncalibrated"] == pytest.approx(seen["loss"], abs=1e-4)
    assert found["operating_point"]["certificate"]["bound"] == 0  # of 40 pairs, nothing is certain

    assert "precision" in project.run("dvc metrics show")
    assert "Data and pipelines are up to date" in project.run("dvc repro")
    assert project.run("dvc status").strip() == "Data and pipelines are up to date."

    # A forced rerun gives the same bytes, and each stage tells its time.
    printed = project.run("dvc repro --force")
    assert project.run("git status --porcelain") == ""
    stages = re.findall(r"Running stage '(\w+)'", printed)
    assert re.findall(r"^(\w+) took \d+ s$", printed, re.MULTILINE) == stages != []


def test_another_operating_point_needs_no_training_and_changes_nothing_else(trained_project):
    printed = trained_project.run("dvc exp run -n sure -S decision.min_recall=null -S decision.threshold=0.99")
    assert "Stage 'train' didn't change, skipping" in printed
    changed = json.loads(trained_project.run("dvc metrics diff --json"))
    # of the challenge set and of attacks, what is decided at that point; nothing else of them
    decided = {*changed.pop("metrics/challenge.json"), *changed.pop("metrics/attack.json")}
    counts = {"wrong", "accepted", "outside_support"}  # what follows a refused step may be outside support
    assert "wrong" in {name.rpartition(".")[2] for name in decided} <= {*counts, "rate", "rate_low", "rate_high"}
    names = [name for file in changed.values() for name in file]
    assert names
    assert all("operating_point" in name for name in names)


def test_fewer_test_pairs_need_no_training(trained_project):
    """Building pairs runs again, but those that training reads stay as they are."""
    printed = trained_project.run("dvc exp run -n few -S pairs.max_predict_samples=20")
    assert "Stage 'train' didn't change, skipping" in printed
    assert read_json(trained_project, "metrics/test.json")["examples"] == 20


@pytest.mark.parametrize(
    ("edited", "stages"),
    [
        ("fluency/report/pictures.py", {"report"}),
        ("fluency/llm_judge/params.py", set()),
        ("fluency/training/sampler.py", {"train"}),  # and after it what reads the model, if that is another
    ],
)
def test_an_edit_reruns_what_depends_on_it_and_nothing_else(trained_project, edited, stages):
    module = trained_project.folder / edited
    module.write_text(module.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    would_run = re.findall(r"Running stage '(\w+)'", trained_project.run("dvc repro --dry"))
    assert set(would_run) == stages


def test_a_run_is_followed_while_it_trains(new_project):
    project = new_project({"train.num_train_epochs": "1000"})
    figures, wanted = project.folder / "metrics/training.json", {"training", "validation"}
    figures.unlink(missing_ok=True)
    running = subprocess.Popen(
        ["dvc", "repro", "-q"],
        cwd=project.folder, env=os.environ | warm_environment(), stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until(lambda: figures.is_file() and read_json(project, "metrics/training.json").keys() == wanted, running)
        table = project.run("dvc exp show --csv")
        project.run("dvc plots show")
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    now, *_ = csv.DictReader(table[table.index("Experiment,") :].splitlines())
    assert now["rev"] == "workspace"
    assert 0 < float(now["training.loss"]) < 2
    assert float(now["validation.step"]) > 0
    assert "Training loss" in (project.folder / "dvc_plots/index.html").read_text(encoding="utf-8")


def test_the_references_own_data_runs_through(new_project):
    if not CORPORA.is_dir():
        pytest.skip(f"{CORPORA} is not there")
    project = new_project(
        {
            "data.source": f"path:{CORPORA / 'fluency_edits'}",
            "pairs.max_train_samples": "1000",
            "pairs.max_eval_samples": "200",
            "pairs.max_predict_samples": "200",
        }
    )
    project.run("dvc repro")
    data = read_json(project, "metrics/data.json")
    assert data["rows"] == {"read": 12039 + 1647, "used": 1400, "not_drawn": 12286, "rejected": 0}
    assert {split: counts["pairs"] for split, counts in data["splits"].items()} == {
        "train": 1000,
        "validation": 200,
        "test": 200,
    }
    assert read_json(project, "metrics/test.json")["examples"] == 200


def test_several_sources_become_one_set_of_pairs(new_project):
    project = new_project({"data.source": "[sample,path:mine]", "pairs.leakage": "drop_train"})
    (project.folder / "mine").mkdir()
    for split in ("train", "test"):
        write_text(
            project.folder / f"mine/{split}.m2",
            "\n".join(as_m2(f"She go to the {n} house .", f"She goes to the {n} house .") for n in range(30)),
        )
    sample = (path for path in (ROOT / "data/sample").rglob("*.txt") if path.parent.name != "challenge")
    lines = [line for path in sample for line in path.read_text(encoding="utf-8").splitlines()]
    rows = sum(1 for line in lines if line.strip() and not line.startswith("#"))
    printed = project.run("dvc repro build_pairs")
    assert f"sample: {rows} rows, 0 rejected" in printed
    assert "path:mine: 60 rows, 0 rejected, from 2 file(s)" in printed
    data = read_json(project, "metrics/data.json")
    assert {corpus: list(splits) for corpus, splits in data["corpora"].items()} == {
        "mine": ["train", "test"], "sample": ["all"],
    }  # fmt: skip
    assert data["rejected"].pop("leakage") == 30
    assert data["rejected"].keys() <= {"a plain sentence"}  # some of the sample's two words, which no rule can harm
    assert data["leakage"]["test"]["rows_normalised"] == 0
    page = (project.folder / "data/pairs/AUDIT.md").read_text(encoding="utf-8")
    assert re.search(r"\| mine +\| test +\| +30 \|", page)
    before = (project.folder / "dvc.lock").read_text(encoding="utf-8")
    project.run("dvc repro -f build_pairs")
    assert (project.folder / "dvc.lock").read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("override", "stage", "message"),
    [
        ("train.learning_rate=abc", "train", "train.learning_rate: expected float, found 'abc'"),
        ("+train.learning_rat=1", "train", "train.learning_rat: unknown key"),
        ("data.source=path:absent", "fetch_data", "data.source: absent does not exist"),
        ("model.source=path:absent", "fetch_model", "config.json and *.safetensors are needed"),
        ("pairs.max_eval_samples=1", "build_pairs", "split 'validation' has label"),
    ],
)
def test_bad_input_ends_in_one_line(new_project, override, stage, message):
    project = new_project()
    project.override(**dict([override.split("=")]))
    printed = project.run(f"dvc repro {stage}", fails=True, DVC_ROOT=".")
    assert message in printed
    assert "Traceback" not in printed
    assert [line for line in printed.splitlines() if line.startswith("error: ")] != []
    assert list(project.folder.rglob("*.part")) == []


def test_a_foreign_copy_of_the_library_is_refused(new_project, tmp_path):
    project = new_project()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "params.yaml").write_text("data: {}\n")
    printed = project.run(f"cd {elsewhere} && PYTHONPATH={project.folder} python -m stages.fetch_data", fails=True)
    assert "error: fluency was imported from" in printed
