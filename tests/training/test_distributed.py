"""Real processes: any number of them trains the same model, and when one goes, all go."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest
import torch

from tests.helpers.trainings import Training, cpu_processes
from tests.training.test_resume import LONG, wait_for


def started(folder, base, processes: int, **changes) -> Training:
    training = Training(folder, base, accelerate_config="own.yaml", **changes)
    training.accelerate(**cpu_processes(processes))
    return training


def assert_same_training(training: Training, expected: Training) -> None:
    # A mistake in the scaling is a factor of two; what float32 sums leave in another order is amplified by the steps.
    for name, column, tolerance in (
        ("training.csv", "loss", 1e-3),
        ("training.csv", "grad_norm", 2e-2),
        ("validation.csv", "loss", 1e-3),
        ("validation.csv", "accuracy", 0),  # of 21 rows: one counted twice would show
    ):
        values = expected.curve(name, column)
        assert training.curve(name, column) == pytest.approx(values, rel=tolerance), (name, column)
        assert len(values) >= 4
    weights = training.weights()
    for name, wanted in expected.weights().items():
        assert torch.allclose(weights[name], wanted, atol=1e-4), name


def test_four_processes_train_as_one(usual, tiny_model, tmp_path):
    training = started(tmp_path / "four", tiny_model, 4)
    assert "training: 4 cpu processes x 2 pairs x 1 accumulated = 8 pairs a step" in training.run()
    assert_same_training(training, usual)
    assert list(training.checkpoints.iterdir()) == []


@pytest.fixture(scope="module")
def often(tmp_path_factory, tiny_model) -> Training:
    """A whole training in one process that evaluates, and saves, within epochs of 11 steps."""
    training = Training(tmp_path_factory.mktemp("often") / "training", tiny_model, eval_steps=3.0)
    training.run()
    return training


@pytest.mark.parametrize(("first", "then"), [(2, 2), (2, 1), (1, 2)])
def test_cut_off_within_an_epoch_it_goes_on_with_the_rows_that_come_next(often, tiny_model, tmp_path, first, then):
    training = started(tmp_path / "cut", tiny_model, first, eval_steps=3.0)
    launcher = training.fork()
    wait_for(training, ".checkpoints/*/checkpoint-1[58]/trainer_state.json", launcher)
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    launcher.kill()
    launcher.join()
    _, alive = psutil.wait_procs(ranks, timeout=30)
    assert not alive
    training.accelerate(**cpu_processes(then))
    training.run()
    assert_same_training(training, often)


def test_batches_of_tokens_are_the_same_for_any_number_of_processes(tiny_model, tmp_path):
    """Also for a run that was killed within an epoch."""
    tokens = {"per_device_train_batch_tokens": 64, "eval_steps": 3.0}
    one = Training(tmp_path / "one", tiny_model, **tokens)
    two = started(tmp_path / "two", tiny_model, 2, **tokens)
    assert "1 cpu process x 64 tokens x 4 accumulated = 256 tokens a step" in one.run()
    launcher = two.fork()
    wait_for(two, ".checkpoints/*/checkpoint-[69]/trainer_state.json", launcher)
    launcher.kill()
    launcher.join()
    assert "2 cpu processes x 64 tokens x 2 accumulated" in two.run()
    assert_same_training(two, one)


def two_machines(folder, base, **changes) -> list[tuple[Training, multiprocessing.Process]]:
    """Two launches that share nothing but a port; the environment says more than the configuration."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    machines = []
    for rank in (0, 1):
        training = Training(folder / f"machine{rank}", base, accelerate_config="own.yaml", **changes)
        training.accelerate(**cpu_processes(2, num_machines=2, main_process_ip="10.255.255.1"))
        machines.append((training, training.fork(**meeting, MACHINE_RANK=str(rank))))
    return machines


def test_two_machines_train_as_one_and_need_not_share_a_disk(usual, tiny_model, tmp_path):
    (first, process), (second, other) = two_machines(tmp_path, tiny_model)
    printed = first.ended(process)
    second.ended(other)
    assert "2 cpu processes on 2 machines x 2 pairs x 2 accumulated = 8 pairs a step" in printed
    assert_same_training(first, usual)
    assert not second.model.exists()
    assert [list(machine.checkpoints.iterdir()) for machine in (first, second)] == [[], []]


def test_a_silent_machine_stops_the_other_in_time(tiny_model, tmp_path):
    (first, process), (second, silent) = two_machines(tmp_path, tiny_model, ddp_timeout=2, **LONG)
    wait_for(first, "metrics/plots/training.csv", process)
    ranks = [child for launcher in (process, silent) for child in psutil.Process(launcher.pid).children()]
    assert len(ranks) == 2
    ranks[1].suspend()
    printed = first.ended(process, fails=True)
    assert "error: another training process was lost, or silent for 2 s (train.ddp_timeout)" in printed
    silent.terminate()  # its process does not answer to that
    assert "error: training was stopped by SIGTERM; started again, it goes on" in second.ended(silent, fails=True)
    assert not any(rank.is_running() for rank in ranks)


def kill_a_process(launcher: multiprocessing.Process, ranks: list[psutil.Process]) -> None:
    ranks[1].kill()


def press_ctrl_c(launcher: multiprocessing.Process, ranks: list[psutil.Process]) -> None:
    os.killpg(launcher.pid, signal.SIGINT)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (kill_a_process, "error: training process 1 was killed (SIGKILL)"),
        (press_ctrl_c, "error: training was stopped by SIGINT; started again, it goes on"),
    ],
)
def test_when_one_goes_all_go_and_one_line_says_why(tiny_model, tmp_path, fault, message):
    training = started(tmp_path / "several", tiny_model, 2, **LONG)
    launcher = training.fork()
    wait_for(training, "metrics/plots/training.csv", launcher)
    ranks = psutil.Process(launcher.pid).children()
    assert len(ranks) == 2
    fault(launcher, ranks)
    assert message in training.ended(launcher, fails=True)
    assert not any(rank.is_running() for rank in ranks)
    assert not training.model.exists()


def test_when_dvc_is_killed_all_processes_end_and_repro_goes_on(usual, tiny_model, tmp_path):
    training = started(tmp_path / "several", tiny_model, 2)
    (training.folder / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: exec python -m stages.train\n    deps: [data/encoded, models/base]\n"
        "    outs: [models/fluency]\n"
    )
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], cwd=training.folder, check=True)
    running = subprocess.Popen([*dvc, "repro", "-q"], cwd=training.folder, stderr=subprocess.DEVNULL)
    wait_for(training, ".checkpoints/*/checkpoint-*/trainer_state.json", running)
    processes = psutil.Process(running.pid).children(recursive=True)
    assert len(processes) == 3
    running.kill()
    running.wait()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive
    assert not training.model.exists()
    subprocess.run([*dvc, "repro", "-q"], cwd=training.folder, check=True, capture_output=True)
    assert_same_training(training, usual)


def test_what_is_wrong_is_said_before_anything_loads(tiny_model, tmp_path):
    training = started(tmp_path / "three", tiny_model, 3)
    assert "train.num_processes=3 (6 pairs)" in training.run(fails=True)
    assert not training.checkpoints.exists()
