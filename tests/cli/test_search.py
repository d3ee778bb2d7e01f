"""A search runs each trial once, whenever it is cut off, and the test is never looked at."""

import argparse
import csv
import json
import re
import shutil

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from fluency.cli.search import Search, hopeless
from fluency.cli.search_space import figure_at, read_space
from fluency.utils.errors import UserError
from tests.helpers.processes import wait_until

SPACE = ["train.learning_rate=tag(log,interval(1e-4,1e-2))", "train.weight_decay=0.0,0.1"]
COMMAND = "python -m fluency search --trials 3 " + " ".join(f"-S '{override}'" for override in SPACE)


def chosen(**changes) -> argparse.Namespace:
    usual = {"name": "search", "trials": 4, "seed": 42, "prune": False, "set_param": SPACE, "figure": "f1"}
    return argparse.Namespace(**usual | changes)


def searching(folder, **changes) -> Search:
    folder.mkdir(exist_ok=True)
    options = chosen(**changes)
    return Search(folder, *read_space(options.set_param), options)


def read_table(folder) -> list[dict[str, str]]:
    with (folder / "results/search/search/trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_killed_and_started_again_it_runs_each_trial_once(trained_project):
    """Also when the figures of a trial are there, but the study was not told of them."""
    folder = trained_project.folder
    before = (folder / "metrics/test.json").read_bytes()
    process = trained_project.start(COMMAND)
    wait_until(lambda: any(folder.glob(".checkpoints/*/pid")), process)
    started = psutil.Process(process.pid).children(recursive=True)
    psutil.Process(process.pid).kill()
    for child in started:
        if "search" in child.cmdline():
            child.kill()
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not [its.cmdline() for its in alive]
    shutil.copytree(folder / "results/search", folder / "../kept")  # as it was before trial 0 ended
    printed = trained_project.run(COMMAND)
    table = read_table(folder)
    assert [(row["experiment"], row["state"]) for row in table] == [(f"search-{n}", "complete") for n in range(3)]
    assert sorted(trained_project.run("dvc exp list --name-only").split()) == ["search-0", "search-1", "search-2"]
    for row in table:
        figures = json.loads(trained_project.run(f"git show $(dvc exp list --sha-only --rev HEAD -n 1 >/dev/null; "
                                                 f"git for-each-ref --format='%(refname)' 'refs/exps/*/*/{row['experiment']}')"
                                                 ":metrics/validation.json"))
        assert float(row["average_precision"]) == pytest.approx(figures["average_precision"], rel=1e-5)
    assert (folder / "results/search/search/importance.png").is_file()
    best = max(table, key=lambda row: float(row["average_precision"]))["experiment"]
    assert f"`dvc exp apply {best}`" in printed
    assert (folder / "metrics/test.json").read_bytes() == before
    shutil.rmtree(folder / "results/search")
    (folder / "../kept").rename(folder / "results/search")
    trained_project.run(COMMAND)
    assert read_table(folder) == table
