"""`python -m fluency search`: Optuna chooses params, each trial is a DVC experiment, and a search cut off goes on."""

import argparse
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile

import optuna
import psutil
from dvc.repo.experiments.refs import ExpRefInfo
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from fluency.cli.checkout import CHECKPOINTS, git
from fluency.cli.search_space import FIGURES, Space, extremes, figure_at, read_space
from fluency.params import Params, load_params, params_with
from fluency.utils.config import PARAMS
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, write_text, written_aside
from fluency.utils.markdown import table
from fluency.utils.processes import die_with_parent, locked

_SEARCHES = Path("results/search")
_STAGE = "calibrate"  # the last that knows nothing of the test
_GLANCE = 2.0  # seconds between looks at a trial's curve


def run(chosen: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        UserError: the space leaves no choice or goes beyond what params may be, there is no such figure, git has edits
            that are not committed, a search of this name is under way or was another one, or no trial succeeded.
    """
    space, fixed = read_space(chosen.set_param)
    for override in [*fixed, *(f"{key}={value}" for key in space for value in extremes(space[key]))]:
        params_with([override])
    figure_at(read_json(FIGURES), chosen.figure)
    if git("status", "--porcelain", "--untracked-files=no"):
        raise UserError("some edits are not committed, and every trial would have them; commit them, or take them back")
    folder = _SEARCHES / chosen.name
    folder.mkdir(parents=True, exist_ok=True)
    lock = locked(folder)
    if lock is None:
        raise UserError(f"the search {chosen.name} is under way already; wait for it, or stop it")
    try:
        Search(folder, space, fixed, chosen).run()
    except KeyboardInterrupt:
        raise UserError("the search was interrupted; started again, it goes on with the same trial") from None
    finally:
        os.close(lock)


class Search:
    """A study in a folder, and the experiments of its trials."""

    def __init__(self, folder: Path, space: Space, fixed: Sequence[str], chosen: argparse.Namespace) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder, self.space, self.fixed, self.chosen = folder, space, fixed, chosen
        self.commit = git("rev-parse", "HEAD").strip()
        pruners = optuna.pruners
        self.study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(folder / "study.log"))),
            study_name=chosen.name, direction="maximize", load_if_exists=True,
            pruner=pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2) if chosen.prune else pruners.NopPruner(),
        )  # fmt: skip
        this = {"commit": self.commit, "params": chosen.set_param, "figure": chosen.figure, "seed": chosen.seed}
        earlier = self.study.user_attrs.get("search", this)
        if changed := [name for name, value in this.items() if earlier[name] != value]:
            raise UserError(f"{folder}: a search of another {', '.join(changed)}; choose another --name, or remove it")
        self.study.set_user_attr("search", this)

    def run(self) -> None:
        """Go on until there have been so many trials; after each, the table and the picture are written anew."""
        while True:
            self._write()
            trial = self.next_trial()
            if trial is None:
                break
            self._carry_out(trial)
        head, *rows = self._table()
        print(f"\n{table(head, rows)}\n\n{self.folder}/ has the table, the picture, study and logs")
        if not self.study.get_trials(states=[TrialState.COMPLETE]):
            raise UserError(f"no trial succeeded; see why in {self.folder}/*.log")
        print(f"`dvc exp apply {self._name(self.study.best_trial)}` takes the best into the workspace")

    def next_trial(self) -> Trial | None:
        """The trial that was cut off, else a new one; None when there have been enough.

        What is chosen is a function of the seed and the trials before, the same in a search that was cut off.
        """
        for known in self.study.get_trials(states=[TrialState.RUNNING]):
            if known.params.keys() == self.space.keys():
                return Trial(self.study, known._trial_id)
            self.study.tell(known.number, state=TrialState.FAIL)  # cut off while it was chosen: nothing has run
        before = len(self._trials())
        if before >= self.chosen.trials:
            return None
        self.study.sampler = optuna.samplers.TPESampler(seed=self.chosen.seed + before)
        return self.study.ask(self.space)

    def _trials(self) -> list[FrozenTrial]:
        return [trial for trial in self.study.get_trials() if trial.params.keys() == self.space.keys()]

    def _name(self, trial: Trial | FrozenTrial) -> str:
        return f"{self.study.study_name}-{trial.number}"

    def _carry_out(self, trial: Trial) -> None:
        """Run a trial as an experiment, unless there is that already, and tell the study what came of it.

        Raises:
            UserError: an experiment of that name has other params.
        """
        name, figure = self._name(trial), self.chosen.figure
        overrides = [*self.fixed, *(f"{key}={value}" for key, value in trial.params.items())]
        ref, log = ExpRefInfo(self.commit, name), self.folder / f"{name}.log"
        print(f"{name}: {' '.join(overrides)}", flush=True)
        if git("for-each-ref", str(ref)):
            if _params_at(ref) != params_with(overrides):
                raise UserError(f"{name}: an experiment of other params; `dvc exp remove {name}`, or another --name")
        else:
            sets = [word for override in overrides for word in ("-S", override)]
            command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "-n", name, *sets, _STAGE]
            if _run(trial, command, log):
                self.study.tell(trial, state=TrialState.PRUNED)
                print(f"{name}: pruned", flush=True)
                return
        if git("for-each-ref", str(ref)):
            value = figure_at(json.loads(git("show", f"{ref}:./{FIGURES}")), figure)
            self.study.tell(trial, value)
            print(f"{name}: {figure} {value:.4f}, best so far {self.study.best_value:.4f}", flush=True)
        else:
            self.study.tell(trial, state=TrialState.FAIL)
            reasons = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("error: ")]
            print(f"{name}: failed, {reasons[-1] if reasons else f'see {log}'}", flush=True)

    def _table(self) -> list[tuple[str, ...]]:
        rows = [("experiment", "state", self.chosen.figure, *self.space)]
        for trial in self._trials():
            values = [trial.value if trial.state == TrialState.COMPLETE else "", *map(trial.params.get, self.space)]
            told = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
            rows.append((self._name(trial), trial.state.name.lower(), *told))
        return rows

    def _write(self) -> None:
        """The table of the trials, and a picture of which params mattered where trials differ."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self._table())
        write_text(self.folder / "trials.csv", text.getvalue())
        if len({trial.value for trial in self.study.get_trials(states=[TrialState.COMPLETE])}) < 2:
            return
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
        from optuna.importance import FanovaImportanceEvaluator
        from optuna.visualization.matplotlib import plot_param_importances

        evaluator = FanovaImportanceEvaluator(seed=self.chosen.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # all of Optuna's pictures by matplotlib are
            axes = plot_param_importances(self.study, evaluator=evaluator, target_name=self.chosen.figure)
        with written_aside(self.folder / "importance.png") as aside:
            axes.figure.savefig(aside, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
        plt.close(axes.figure)


def _params_at(ref: ExpRefInfo) -> Params:
    """The params that an experiment had."""
    with NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(git("show", f"{ref}:./{PARAMS}"))
        file.flush()
        return load_params(file.name)


def _run(trial: Trial, command: Sequence[str], log: Path) -> bool:
    """Run the command of a trial to its end, or until the trial is one to prune; returns whether it was pruned.

    Raises:
        UserError: the command was killed.
    """
    with log.open("w", encoding="utf-8") as written:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.STDOUT,
            preexec_fn=partial(die_with_parent, {"DVC_STAGE": ""}),  # what a search started ends with it
        )  # fmt: skip
    pruned = None
    while process.poll() is None:
        pruned = pruned or _stopped(trial, process.pid)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GLANCE)
    if process.returncode < 0:
        raise UserError(f"{log}: DVC was killed by signal {-process.returncode}; started again, it goes on")
    if pruned is None or process.returncode == 0:  # the training may end well before it hears of it
        return False
    _remove_checkpoints(pruned)
    return True


def _stopped(trial: Trial, dvc: int) -> int | None:
    """The training that DVC has under way, if it is one to prune, which it is told to end; None if it goes on."""
    with suppress(psutil.Error, OSError):  # between two stages, or before the first evaluation
        for trainer in psutil.Process(dvc).children():
            curve = Path(trainer.cwd(), "metrics/plots/validation.csv")
            if "stages.train" in trainer.cmdline() and should_prune(trial, curve.read_text(encoding="utf-8")):
                trainer.terminate()  # Ctrl-C's signal is not heard where a shell started the search in the background
                return trainer.pid
    return None


def _remove_checkpoints(trainer: int) -> None:
    """Those of a trial that will not go on."""
    for holder in CHECKPOINTS.glob("*/pid"):
        if holder.read_text(encoding="utf-8") == str(trainer):
            shutil.rmtree(holder.parent)


def should_prune(trial: Trial, curve: str) -> bool:
    """Whether the evaluations so far, the text of a validation.csv, make a trial one to prune."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what has been reported already is left as it is
        for number, row in enumerate(csv.DictReader(io.StringIO(curve))):
            trial.report(float(row["average_precision"]), number)
    return trial.should_prune()
