"""Training on GPUs; skipped where there are too few."""

import os
import shutil
import subprocess
from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest

from tests.helpers.trainings import Training
from tests.training.test_distributed import assert_same_training
from tests.training.test_resume import wait_for

# the other tests see no GPU
ONE, TWO = {"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "0,1"}


def gpus() -> int:
    if shutil.which("nvidia-smi") is None:
        return 0
    return subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True).stdout.count("GPU ")


needs_a_gpu = pytest.mark.skipif(gpus() < 1, reason="needs a GPU")
needs_two_gpus = pytest.mark.skipif(gpus() < 2, reason="needs two GPUs")


def killed_and_gone_on(training: Training, **visible: str) -> str:
    """Kill a training in its second epoch, and run it again."""
    launcher = training.fork(**visible)
    wait_for(training, ".checkpoints/*/checkpoint-1[58]/trainer_state.json", launcher)
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    launcher.kill()
    launcher.join()
    assert not psutil.wait_procs(ranks, timeout=30)[1]
    return training.run(**visible)


@needs_two_gpus
def test_two_gpus_go_on_where_they_were_killed(tmp_path, tiny_model):
    whole, killed = (Training(tmp_path / name, tiny_model, num_processes=2, eval_steps=3.0) for name in "ab")
    assert "training: 2 cuda processes" in whole.run(**TWO)
    killed_and_gone_on(killed, **TWO)
    assert_same_training(killed, whole)


@needs_a_gpu
def test_cuda_graphs_train_the_same_model(tmp_path, tiny_model):
    """Also one that was killed; gradients of four batches are summed up."""
    graphs, killed, usual = (
        Training(tmp_path / name, tiny_model, eval_steps=3.0, bf16=False, cuda_graphs=name != "usual")
        for name in ("graphs", "killed", "usual")
    )
    assert "1 cuda process x 2 pairs x 4 accumulated = 8 pairs a step, float32, CUDA graphs" in graphs.run(**ONE)
    assert "CUDA graphs" not in usual.run(**ONE)
    assert_same_training(graphs, usual)
    killed_and_gone_on(killed, **ONE)
    assert_same_training(killed, usual)


@needs_a_gpu
def test_no_step_waits_for_the_gpu(tmp_path, tiny_model):
    """And there are as many graphs as lengths."""
    training = Training(tmp_path / "run", tiny_model, num_processes=1)
    process = get_context("spawn").Process(target=train_without_waiting, args=(training.folder,))
    process.start()
    process.join()
    assert process.exitcode == 0


def train_without_waiting(folder: Path) -> None:
    """Train in `folder`; raises in the first step after the second epoch in which the CPU waits for the GPU."""
    import torch
    from transformers import TrainerCallback

    from fluency.model.encoding import STATIC_LENGTHS, padded_length
    from fluency.model.params import EncodeParams
    from fluency.training.callbacks import CurveCallback
    from fluency.training.inputs import Inputs
    from fluency.training.params import EditHeadParams, TrainParams
    from fluency.training.plan import devices_at_hand, plan_for
    from fluency.training.trainer import trainer_of
    from fluency.utils.config import read_params

    class Impatient(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            torch.cuda.set_sync_debug_mode("error" if state.epoch >= 2 else "default")

        def on_step_end(self, args, state, control, **_):
            torch.cuda.set_sync_debug_mode("default")  # what is logged is waited for

    os.chdir(folder)
    os.environ |= ONE  # importing the tests has hidden it
    params = read_params("train", TrainParams)
    plan = plan_for(params, devices_at_hand(None))
    encode, edit_head = read_params("encode", EncodeParams), read_params("edit_head", EditHeadParams)
    inputs = Inputs(Path("data/encoded"), Path("models/base"), encode, edit_head)
    curves = CurveCallback(Path("curves"), Path("figures.json"))
    trainer, _ = trainer_of(params, plan, inputs, curves, Path("checkpoints"))
    trainer.add_callback(Impatient())
    trainer.train()
    lengths = {padded_length(length, STATIC_LENGTHS) for length in trainer.train_dataset.lengths()}
    found = {read["input_ids"].shape for _, read, _ in trainer.graphs.graphs.values()}
    assert found == {(plan.batch, length) for length in lengths}, found
