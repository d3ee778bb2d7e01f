"""The doctor finds what would spoil a run, says what to do about it, and changes nothing."""

import shutil
import sys

import pytest
from huggingface_hub import constants

from fluency.cli.commands import main
from fluency.cli.doctor import examine
from fluency.sources.dvc_project import Freshness, freshness
from fluency.training.checkpoints import claimed
from tests.conftest import Project


@pytest.fixture
def checkup(new_project, monkeypatch):
    """A project, and the doctor's findings about it by name; the code examined is this checkout's."""
    project = new_project()
    monkeypatch.chdir(project.folder)
    return project, lambda *overrides: {finding.name: finding for finding in examine(overrides)}


def test_it_finds_what_would_spoil_a_run(checkup, monkeypatch):
    project, examined = checkup
    (project.folder / "new.txt").write_text("x")
    project.override(**{"data.source": "path:gone", "train.num_processes": "3"})
    (project.folder / "requirements.txt").write_text("numpy==0.1\nnosuch[extra]==1\nmoto[s3]==5.2.5\n")
    found = examined()
    assert len(found) == 10
    assert found["packages"].found == "not as pinned: numpy, nosuch"
    assert found["code"].found.startswith("imported from")  # of the tests' checkout, not of the project
    assert found["sources"].found == "data.source: gone is not there"
    assert found["git"].found == "untracked files: 1"
    assert found["dvc"].remedy == "`dvc repro`"
    assert found["plan"].remedy == ""
    assert "the same result, later" in found["plan"].found
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert examined()["tracking"].found == "W&B offline"


def test_it_finds_wrong_params_and_a_hub_out_of_reach(checkup, monkeypatch):
    project, examined = checkup
    monkeypatch.setattr("fluency.sources.hub.WAIT", 0)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    project.override(**{"data.source": "hub:owner/name"})
    sources = examined()["sources"]
    assert sources.remedy
    assert sources.found.startswith("data.source: hub:owner/name cannot be reached")
    project.override(**{"train.learning_rate": "fast"})
    assert "train.learning_rate: expected float, found 'fast'" in examined()["params"].found


def test_it_looks_at_what_an_experiment_will_set(checkup):
    project, examined = checkup
    before = (project.folder / "params.yaml").read_bytes()
    found = examined("train.num_processes=4", "data.source=[sample,path:gone]", "train.learning_rate=5e-5")
    assert found["plan"].found.startswith("1 cpu process x 8 pairs x 4 accumulated = 32 pairs a step")
    assert found["sources"].found == "data.source: gone is not there"
    assert "Could not override 'train.lr'" in examined("train.lr=1")["params"].found
    assert examined("train.seed=a")["params"].found == "params.yaml: train.seed: expected int, found 'a'"
    assert "Error parsing override 'train'" in examined("train")["params"].found
    assert (project.folder / "params.yaml").read_bytes() == before


def test_it_finds_a_training_that_is_alive_and_one_cut_off(checkup):
    project, examined = checkup
    (project.folder / ".checkpoints/old/checkpoint-1").mkdir(parents=True)
    assert examined()["training"].found.startswith(
        "1 cut off, which go on when started again; 0.0 GiB in .checkpoints/"
    )
    with claimed(project.folder / ".checkpoints/new"):
        assert examined()["training"].found == "1 alive in this checkout"


def test_it_finds_an_installed_copy_but_not_what_a_build_leaves(new_project, tmp_path):
    project = new_project()
    (project.folder / "fluency_edits.egg-info").mkdir()
    (project.folder / "fluency_edits.egg-info/PKG-INFO").write_text("Name: fluency-edits\nVersion: 0.1.0\n")
    doctor = f"{sys.executable} -m fluency doctor"
    assert "ok    code       imported from this checkout" in project.run(doctor, fails=True)
    shutil.copytree(project.folder / "fluency_edits.egg-info", tmp_path / "elsewhere/fluency_edits.egg-info")
    found = project.run(doctor, fails=True, PYTHONPATH=str(tmp_path / "elsewhere"))
    assert "look  code       an installed copy of fluency; uninstall it" in found


def test_it_finds_a_shallow_clone(checkup, tmp_path, monkeypatch):
    project, examined = checkup
    project.commit("second")
    project.run(f"git clone -q --depth 1 file://{project.folder} {tmp_path / 'clone'}")
    monkeypatch.chdir(tmp_path / "clone")
    assert examined()["git"].remedy.startswith("`git fetch --unshallow`")


def test_it_says_so_where_git_and_dvc_cannot_tell(checkup):
    """No answer is no good answer."""
    project, examined = checkup
    (project.folder / "dvc.lock").write_text("schema: '2.0'\n")
    shutil.rmtree(project.folder / ".git")
    found = examined()
    assert found["git"].found.startswith("not a git repository")
    assert found["git"].remedy.startswith("DVC needs a clone")
    assert found["dvc"].found.startswith("DVC cannot tell")
    assert found["dvc"].remedy


def test_it_tells_stale_results_from_outputs_that_are_not_here(trained_project, monkeypatch):
    """A fresh clone has the committed figures, and they are right."""
    monkeypatch.chdir(trained_project.folder)
    assert freshness() == Freshness([], [])
    trained_project.run("rm -rf models/fluency")
    assert {finding.name: finding.found for finding in examine()}["dvc"].startswith("outputs are not here: train")
    pull = "outputs are not here (train, calibrate, evaluate, attack); `dvc pull`, or `dvc repro`"
    assert f"note: {pull}" in trained_project.run("python -m fluency summary")
    trained_project.run("dvc checkout")
    assert "note:" not in trained_project.run("python -m fluency summary")
    # a run that fails leaves the figures of the last one behind
    trained_project.run("dvc exp run -S model.source=path:absent", fails=True)
    note = "note: the workspace's results are not of its code, params and data (fetch_model"
    assert note in trained_project.run("python -m fluency summary")
    assert note in trained_project.run("python -m fluency compare HEAD workspace")
    assert note.removeprefix("note: ") in trained_project.run("python -m fluency export exported", fails=True)
    assert not (trained_project.folder / "exported").exists()
    assert "note:" not in trained_project.run("python -m fluency compare HEAD HEAD")


def test_in_a_fresh_clone_each_command_says_what_fetches_the_outputs(trained_project):
    trained_project.run("git clone -q . ../clone")
    clone = Project(trained_project.folder.parent / "clone")
    pull = "`dvc pull`, or `dvc repro`"
    assert "look  dvc        outputs are not here: fetch_data, fetch_model," in clone.run(
        "python -m fluency doctor", fails=True
    )
    summary = clone.run("python -m fluency summary")
    assert f"train, calibrate, evaluate, attack, report); {pull}" in summary
    assert "supported edits (each bound holds 99.9% of validation's fluent ones): " in summary
    for command in ("compare", "compare workspace HEAD", "export exported"):
        told = clone.run(f"python -m fluency {command}", fails=True)
        assert told.startswith("error: outputs are not here (fetch_data, fetch_model, ")
        assert told.endswith(f"{pull}\n")
    others = ["compare HEAD HEAD", "attack", "score --before a --after b", "label rewrites.jsonl -o judged"]
    others += ["verify results", "convert data/pairs/test.parquet test.m2"]
    for command in others:
        assert "`dvc pull`" in clone.run(f"python -m fluency {command}", fails=True)


def test_it_looks_at_whose_the_checkout_is_and_at_its_name(checkup, tmp_path, monkeypatch):
    project, examined = checkup
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert examined()["git"].found == "this checkout is another user's"
    assert examined()["git"].remedy.startswith(f"`git config --global --add safe.directory {project.folder}`")
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")
    project.folder.rename(tmp_path / "größe")
    monkeypatch.chdir(tmp_path / "größe")
    assert examined()["git"].remedy.startswith("move it: queued experiments hang")


def test_a_checkout_may_stand_in_a_subfolder_of_a_repository(checkup):
    project, examined = checkup
    (project.folder / "dvc.lock").write_text("schema: '2.0'\n")
    project.run("rm -rf .git && cd .. && git init -q -b main && git add project && git commit -qm whole")
    found = examined()
    assert found["git"].found == "clean"
    assert found["dvc"].found.startswith("results are not of this code")  # which DVC could tell


def test_its_exit_code_says_whether_anything_is_amiss(trained_project, monkeypatch, capsys):
    monkeypatch.chdir(trained_project.folder)
    monkeypatch.setattr("fluency.cli.doctor._ENOUGH", 0)  # GiB of disk
    monkeypatch.setattr("fluency.cli.doctor.__file__", str(trained_project.folder / "fluency/cli/doctor.py"))
    main(["doctor"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ok"] * 10
    (trained_project.folder / "new.txt").touch()
    with pytest.raises(SystemExit, match="error: 1 of these need a look"):
        main(["doctor"])
    assert trained_project.run("git status --porcelain") == "?? new.txt\n"


def test_it_names_the_remedy_where_packages_are_missing(new_project):
    """`-S` leaves site-packages out."""
    printed = new_project().run(f"{sys.executable} -S -m fluency doctor", fails=True)
    assert printed.startswith("error: No module named")
    assert printed.endswith("`make .venv/installed`, then `source .venv/bin/activate`\n")
