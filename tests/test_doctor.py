"""The doctor finds what would spoil a run, says what to do about it, and changes nothing."""

import shutil
import sys

import pytest
from huggingface_hub import constants

from fluency.checkpoints import claimed
from fluency.doctor import examine


@pytest.fixture
def checkup(new_project, monkeypatch):
    """A project, and the doctor's findings about it by name; the code examined is this checkout's."""
    project = new_project()
    monkeypatch.chdir(project.folder)
    return project, lambda: {finding.name: finding for finding in examine()}


def test_it_finds_what_would_spoil_a_run(checkup, monkeypatch):
    project, examined = checkup
    (project.folder / "new.txt").write_text("x")
    project.override(**{"data.source": "path:gone", "train.num_processes": "3"})
    (project.folder / "requirements.txt").write_text("numpy==0.1\nnosuch==1\n")
    found = examined()
    assert len(found) == 10
    assert found["packages"].found == "not as pinned: numpy, nosuch"
    assert found["code"].found.startswith("imported from")  # of the tests' checkout, not of the project
    assert found["sources"].found == "data.source: gone is not there"
    assert found["git"].found == "1 untracked files"
    assert found["dvc"].remedy == "`dvc repro`"
    assert found["plan"].remedy == ""
    assert "the same result, later" in found["plan"].found
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert examined()["tracking"].found == "W&B offline"


def test_it_finds_wrong_params_and_a_hub_out_of_reach(checkup, monkeypatch):
    project, examined = checkup
    monkeypatch.setattr("fluency.hub.WAITS", ())
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    project.override(**{"data.source": "hub:owner/name"})
    sources = examined()["sources"]
    assert sources.remedy
    assert sources.found.startswith("data.source: hub:owner/name cannot be reached")
    project.override(**{"train.learning_rate": "fast"})
    assert "train.learning_rate: expected float, found 'fast'" in examined()["params"].found


def test_it_finds_a_training_that_is_alive_and_one_cut_off(checkup):
    project, examined = checkup
    (project.folder / ".checkpoints/old/checkpoint-1").mkdir(parents=True)
    assert examined()["training"].found == "1 cut off, which go on when started again"
    with claimed(project.folder / ".checkpoints/new"):
        assert examined()["training"].found == "1 alive in this checkout"


def test_it_finds_an_installed_copy_but_not_what_a_build_leaves(new_project, tmp_path):
    project = new_project()
    (project.folder / "fluency.egg-info").mkdir()
    (project.folder / "fluency.egg-info/PKG-INFO").write_text("Name: fluency\nVersion: 0.1.0\n")
    doctor = f"{sys.executable} -m fluency doctor"
    assert "ok    code       imported from this checkout" in project.run(doctor, fails=True)
    shutil.copytree(project.folder / "fluency.egg-info", tmp_path / "elsewhere/fluency.egg-info")
    found = project.run(doctor, fails=True, PYTHONPATH=str(tmp_path / "elsewhere"))
    assert "look  code       an installed copy of fluency; uninstall it" in found


def test_it_finds_a_shallow_clone(checkup, tmp_path, monkeypatch):
    project, examined = checkup
    project.commit("second")
    project.run(f"git clone -q --depth 1 file://{project.folder} {tmp_path / 'clone'}")
    monkeypatch.chdir(tmp_path / "clone")
    assert examined()["git"].remedy.startswith("`git fetch --unshallow`")


def test_it_ends_in_one_line_that_counts_what_is_amiss(new_project):
    project = new_project()
    printed = project.run(f"{sys.executable} -m fluency doctor", fails=True).splitlines()
    assert len(printed) == 11
    assert printed[1] == "ok    code       imported from this checkout"
    assert printed[-1] == "error: 1 of these need a look"  # there are no results yet
    assert project.run("git status --porcelain") == ""
