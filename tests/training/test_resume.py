"""A run that is cut off at any moment goes on and ends with the same bytes; another's checkpoints are never used."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from fluency.training.checkpoints import checkpoint_to_resume, claimed, experiment_digest
from fluency.training.plan import Devices, plan_for
from fluency.utils.errors import UserError
from tests.helpers.processes import Process, ended_within, wait_until
from tests.helpers.trainings import PARAMS, Training

RESULTS = (
    "models/fluency/model.safetensors", "metrics/training.json", "metrics/plots/training.csv",
    "metrics/plots/validation.csv",
)  # fmt: skip
OFTEN = {"eval_steps": 2.0, "metric_for_best_model": "average_precision", "early_stopping_patience": 50}
LONG = {"num_train_epochs": 1000.0, "eval_steps": 10.0}


def same_results(one: Training, other: Training) -> None:
    for name in RESULTS:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name


def wait_for(training: Training, pattern: str, process: Process, since: float = 0.0) -> None:
    """Wait until a file or folder of that pattern was written after `since`."""
    wait_until(lambda: any(changed(path) > since for path in training.folder.glob(pattern)), process)


@contextmanager
def interrupted() -> Iterator[None]:
    """Swallows the KeyboardInterrupt with which its block has to end."""
    try:
        yield
    except KeyboardInterrupt:
        return
    raise AssertionError("was not interrupted")


def changed(path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def test_killed_at_ten_moments_it_ends_with_the_same_bytes(tmp_path, tiny_model):
    whole, killed = (Training(tmp_path / name, tiny_model, **OFTEN) for name in ("whole", "killed"))
    whole.run()
    rng = random.Random(1)
    for _ in range(10):
        started = time.time()
        process = killed.fork()
        wait_for(killed, ".checkpoints/*/checkpoint-*", process, started)
        ended_within(rng.uniform(0, 0.06), process)  # a checkpoint takes about this long
        process.kill()
        process.join()
        assert not killed.model.exists()
        held = list(killed.checkpoints.glob("*/checkpoint-*"))
        assert len(held) <= 4, held  # the best, the last, and those that were being written and removed
    killed.run()
    same_results(whole, killed)
    assert list(killed.checkpoints.iterdir()) == []


def test_a_run_goes_on_under_another_plan_and_after_an_edit_elsewhere(usual, tmp_path, tiny_model):
    moved = Training(tmp_path / "moved", tiny_model)
    process = moved.fork()
    wait_for(moved, ".checkpoints/*/checkpoint-*/trainer_state.json", process)
    process.kill()
    process.join()
    moved.change(num_processes=1, per_device_train_batch_size=8)
    report = moved.folder / "fluency/report/page.py"
    report.write_text(report.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    printed = moved.run()
    assert "1 cpu process x 8 pairs x 1 accumulated = 8 pairs a step" in printed
    assert " 1/44 " not in printed
    for name, weights in usual.weights().items():
        assert torch.allclose(moved.weights()[name], weights, atol=1e-4), name


def test_training_that_ended_early_does_not_go_on_when_only_the_model_was_not_written(tmp_path, tiny_model):
    ended = {"eval_steps": 3.0, "early_stopping_patience": 2}
    whole, killed = (Training(tmp_path / name, tiny_model, **ended) for name in ("whole", "killed"))
    whole.run()
    killed.model.touch()  # a file where the folder has to go
    with pytest.raises(AssertionError, match="NotADirectoryError"):
        killed.run()
    killed.model.unlink()
    killed.run()
    same_results(whole, killed)
    assert len(whole.curve("validation.csv", "step")) < 44 // 3


def test_a_second_run_of_the_same_experiment_is_refused(tmp_path, tiny_model):
    training = Training(tmp_path / "one", tiny_model, **LONG)
    first = training.fork()
    wait_for(training, ".checkpoints/*/checkpoint-*", first)
    os.kill(first.pid, signal.SIGSTOP)
    # the same experiment from a copy, as DVC's temporary experiments are
    shutil.copytree(training.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".checkpoints"))
    copy = training.elsewhere(tmp_path / "copy")
    printed = copy.run(fails=True, DVC_ROOT=str(training.folder))
    assert f"is being trained already, by process {first.pid}" in printed
    first.kill()
    first.join()


def test_checkpoints_that_were_cut_off_are_cleared_and_whole_ones_kept(tmp_path):
    folder = tmp_path / "experiment"
    for name, state in (
        ("checkpoint-9", "{}"),
        ("checkpoint-10", "{}"),
        ("checkpoint-11", None),
        ("checkpoint-12", "{"),
    ):
        (folder / name).mkdir(parents=True)
        if state:
            (folder / name / "trainer_state.json").write_text(state)
    with interrupted(), claimed(folder):
        assert {path.name for path in folder.glob("checkpoint-*")} == {"checkpoint-9", "checkpoint-10"}
        assert checkpoint_to_resume(folder) == folder / "checkpoint-10"
        with pytest.raises(UserError, match=f"by process {os.getpid()}"), claimed(folder):
            pass
        raise KeyboardInterrupt
    with claimed(folder):
        assert checkpoint_to_resume(folder) is not None
    assert not folder.exists()
    assert checkpoint_to_resume(folder) is None


def test_checkpoints_of_other_experiments_stay(tmp_path):
    """One may be running, on a machine whose locks are not seen here."""
    for number in range(8):
        (tmp_path / str(number)).mkdir()
    with claimed(tmp_path / "new"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == set("01234567")


def test_only_the_same_experiment_goes_on_whatever_it_runs_on(tmp_path, tiny_model):
    training = Training(tmp_path / "a", tiny_model)
    data = training.folder / "data/encoded"
    four = replace(PARAMS, num_processes=4)

    gpus = Devices("cuda", 4, bf16=True)

    def digest(params=four, devices=gpus):
        return experiment_digest(params, plan_for(params, devices), [data, tiny_model])

    same = {
        digest(),
        digest(devices=Devices("cuda", 1, bf16=True)),
        digest(replace(four, per_device_train_batch_size=4, gradient_accumulation_steps=2)),
        digest(replace(four, gradient_checkpointing=True, dataloader_num_workers=2)),
    }
    assert len(same) == 1
    others = [
        digest(replace(four, learning_rate=1e-5)),
        digest(replace(four, num_processes=2)),
        digest(devices=Devices("cpu", 1)),  # float32
        digest(devices=Devices("cuda", 4, bf16=True, sharded=True)),
    ]
    shutil.copyfile(data / "validation/labels.npy", data / "train/labels.npy")
    others.append(digest())
    assert len(same | set(others)) == 6
