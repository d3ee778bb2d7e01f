"""A search runs each trial once, whenever it is cut off, and says which params mattered."""

import argparse
import csv
import json
import re
import shutil
import sys

import psutil
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from fluency.cli.search import Search, _run, should_prune
from fluency.cli.search_space import extremes, figure_at, read_space
from fluency.utils.errors import UserError
from fluency.utils.files import read_json
from tests.helpers.processes import wait_until

SPACE = ["train.learning_rate=tag(log,interval(1e-4,1e-2))", "train.weight_decay=0.0,0.1"]
COMMAND = "python -m fluency search --trials 2 " + " ".join(f"-S '{override}'" for override in SPACE)


def searching(folder, **changes) -> Search:
    """A search whose trials the test ends itself."""
    usual = {"name": "search", "trials": 20, "seed": 42, "prune": False, "set_param": SPACE, "figure": "f1"}
    chosen = argparse.Namespace(**usual | changes)
    folder.mkdir(exist_ok=True)
    return Search(folder, *read_space(chosen.set_param), chosen)


def test_killed_and_started_again_it_runs_each_trial_once(trained_project):
    folder, study = trained_project.folder, trained_project.folder / "results/search/search"
    test = (folder / "metrics/test.json").read_bytes()
    shell = trained_project.start(COMMAND)
    wait_until(lambda: any(folder.glob(".checkpoints/*/pid")), shell)
    started = psutil.Process(shell.pid).children(recursive=True)
    (search,) = [process for process in started if process.cmdline()[1:4] == ["-m", "fluency", "search"]]
    search.kill()
    _, alive = psutil.wait_procs(started, timeout=60)
    assert [process.cmdline() for process in alive] == []  # neither DVC nor the training
    printed = trained_project.run(COMMAND)
    table = read_table(study)
    assert [(row["experiment"], row["state"]) for row in table] == [("search-0", "complete"), ("search-1", "complete")]
    assert (study / "importance.png").stat().st_size > 1000
    assert f"`dvc exp apply {max(table, key=lambda row: float(row['average_precision']))['experiment']}`" in printed
    found = json.loads(trained_project.run("dvc exp show --json"))[1]["experiments"]
    figures = {its["name"]: its["revs"][0]["data"]["metrics"]["metrics/validation.json"]["data"] for its in found}
    for row in table:
        assert float(row["average_precision"]) == pytest.approx(figures[row["experiment"]]["average_precision"], 1e-5)
    assert (folder / "metrics/test.json").read_bytes() == test
    logs = "".join(log.read_text(encoding="utf-8") for log in study.glob("search-*.log"))
    assert set(re.findall("Running stage '(.*)'", logs)) == {"train", "calibrate"}  # never evaluate: the test is unseen
    shutil.rmtree(study)  # as if it had been killed before it heard of any trial
    assert "Running" not in trained_project.run(COMMAND)
    assert read_table(study) == table
    assert not list(study.glob("search-*.log"))
    assert "a search of another params" in trained_project.run(COMMAND.replace("0.1", "0.2"), fails=True)
    other = trained_project.run(f"rm -r {study} && {COMMAND} --seed 7", fails=True)  # the experiments are still there
    assert "error: search-0: an experiment of other params; `dvc exp remove search-0`" in other


def read_table(study) -> list[dict[str, str]]:
    with (study / "trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_is_chosen_does_not_depend_on_where_a_search_was_cut_off(tmp_path):
    """After the first ten, Optuna chooses by what came of them."""

    def chosen_in(folder, cut: bool) -> list[dict]:
        search = searching(folder)
        while (trial := search.next_trial()) is not None:
            if cut:
                search = searching(folder)
                again = search.next_trial()
                assert (again.number, again.params) == (trial.number, trial.params)
            search.study.tell(trial.number, trial.params["train.learning_rate"])
        return [trial.params for trial in search.study.trials]

    whole = chosen_in(tmp_path / "whole", cut=False)
    assert whole == chosen_in(tmp_path / "cut", cut=True)
    assert len(whole) == len({repr(params) for params in whole}) == 20


def test_a_trial_cut_off_while_it_was_chosen_is_no_trial(tmp_path):
    search = searching(tmp_path / "search", trials=1)
    search.study.ask()
    trial = search.next_trial()
    assert trial.params.keys() == {"train.learning_rate", "train.weight_decay"}
    search.study.tell(trial, 0.5)
    assert search.next_trial() is None
    assert [trial.state for trial in search.study.trials] == [TrialState.FAIL, TrialState.COMPLETE]


@pytest.mark.parametrize("prune", [True, False])
def test_a_training_below_the_median_of_the_earlier_ones_is_pruned(tmp_path, prune):
    search = searching(tmp_path / "search", prune=prune)

    def curve(*values: float) -> str:
        return "step,average_precision\n" + "".join(f"{number},{value}\n" for number, value in enumerate(values, 1))

    for _ in range(4):
        trial = search.next_trial()
        assert not should_prune(trial, curve(0.1, 0.1, 0.1))
        assert not should_prune(trial, curve(0.1, 0.1, 0.1, 0.8))
        search.study.tell(trial, 0.8)
    trial = search.next_trial()
    assert not should_prune(trial, curve(0.0))  # too early to tell
    assert not should_prune(trial, curve(0.0, 0.0, 0.2))
    assert should_prune(trial, curve(0.0, 0.0, 0.2, 0.3)) == prune


# In the place of DVC, which passes its child's exit code on: a training that has one evaluation, and waits.
RUN = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts what runs in the background
sys.exit(bool(subprocess.run([sys.executable, "-c", sys.argv[1], "stages.train"]).returncode))
"""
TRAINING = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_DFL if ON_TIME else lambda *_: sys.exit())
for name, text in ((".checkpoints/its/pid", os.getpid()), (".checkpoints/other/pid", 1)):
    pathlib.Path(name).parent.mkdir(parents=True)
    pathlib.Path(name).write_text(str(text))
pathlib.Path("metrics/plots").mkdir(parents=True)
pathlib.Path("new.csv").write_text("step,average_precision\\n1,0\\n2,0\\n3,0\\n")
pathlib.Path("new.csv").rename("metrics/plots/validation.csv")
time.sleep(20)
"""


@pytest.mark.parametrize("on_time", [True, False])
def test_a_pruned_training_is_ended_at_once_unless_it_has_just_succeeded(tmp_path, monkeypatch, on_time):
    search = searching(tmp_path / "search", prune=True)
    for _ in range(4):
        trial = search.next_trial()
        should_prune(trial, "average_precision\n" + "0.5\n" * 3)
        search.study.tell(trial, 0.5)
    monkeypatch.setattr("fluency.cli.search._GLANCE", 0.05)
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-c", RUN, TRAINING.replace("ON_TIME", str(on_time))]
    assert _run(search.next_trial(), command, tmp_path / "log") == on_time
    assert {path.name for path in (tmp_path / ".checkpoints").iterdir()} == {"other", *(() if on_time else ("its",))}


def test_the_space_is_said_as_dvc_says_a_grid():
    space, fixed = read_space(
        [*SPACE, "train.seed=1", "a.b=int(interval(2,5))", "a.c=interval(0,1)", "data.source=[sample,more],sample"]
    )
    assert fixed == ["train.seed=1"]
    assert space == {
        "train.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "train.weight_decay": CategoricalDistribution(["0.0", "0.1"]),
        "a.b": IntDistribution(2, 5),
        "a.c": FloatDistribution(0.0, 1.0),
        "data.source": CategoricalDistribution(["[sample,more]", "sample"]),
    }
    assert [list(extremes(space[key])) for key in ("a.b", "train.weight_decay")] == [[2, 5], ["0.0", "0.1"]]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.seed=1"], "nothing to search"),
        (["train.seed=interval(5,1)"], "-S train.seed=interval"),
        (["train.seed=tag(log,interval(0,1))"], "-S train.seed=tag"),
        (["train.seed=interval("], "-S train.seed=interval"),
    ],
)
def test_a_space_that_is_none_is_named(overrides, message):
    with pytest.raises(UserError) as caught:
        read_space(overrides)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_figure_is_named_by_its_path():
    figures = {"f1": 0.5, "precision_at_recall": {"0.5": 0.9, "0.8": 0.7}}
    assert figure_at(figures, "precision_at_recall.0.8") == 0.7
    assert figure_at(figures, "f1") == 0.5
    for wrong in ("f2", "precision_at_recall.0.7", "f1.x"):
        with pytest.raises(UserError, match=f"--figure {wrong}: metrics/validation.json has no such figure"):
            figure_at(figures, wrong)


@pytest.mark.parametrize("value", [{"recall": 0.5, "f1": 0.5}, "precision", None, True, [1.0, 2.0], float("nan")])
def test_what_is_no_number_cannot_be_raised(value):
    with pytest.raises(UserError, match=r"--figure a\.b: is no number in metrics/validation\.json") as caught:
        figure_at({"a": {"b": value}}, "a.b")
    assert str(caught.value).endswith(", but holds recall, f1") == isinstance(value, dict)


@pytest.mark.parametrize("name", ["log_loss", "ece", "brier", "brier_low", "ece_uncalibrated", "parts.short.brier"])
def test_what_is_better_when_lower_is_not_raised(name):
    figures = read_json("metrics/validation.json")
    with pytest.raises(UserError, match=f"--figure {name}: is better the lower it is"):
        figure_at(figures, name)
