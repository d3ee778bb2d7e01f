"""On two GPUs, a training that is killed goes on and ends as one that never was; skipped where there are fewer."""

import shutil
import subprocess

import psutil
import pytest

from tests.helpers.trainings import Training
from tests.training.test_distributed import assert_same_training
from tests.training.test_resume import wait_for

VISIBLE = {"CUDA_VISIBLE_DEVICES": "0,1"}  # the other tests see no GPU


def gpus() -> int:
    if shutil.which("nvidia-smi") is None:
        return 0
    return subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True).stdout.count("GPU ")


@pytest.mark.skipif(gpus() < 2, reason="needs two GPUs")
def test_two_gpus_go_on_where_they_were_killed(tmp_path, tiny_model):
    whole, killed = (Training(tmp_path / name, tiny_model, num_processes=2, eval_steps=3.0) for name in "ab")
    assert "training: 2 cuda processes" in whole.run(**VISIBLE)
    launcher = killed.fork(**VISIBLE)
    wait_for(killed, ".checkpoints/*/checkpoint-1[58]/trainer_state.json", launcher)
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    launcher.kill()
    launcher.join()
    assert not psutil.wait_procs(ranks, timeout=30)[1]
    killed.run(**VISIBLE)
    assert_same_training(killed, whole)
