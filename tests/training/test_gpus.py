"""Training on GPUs; skipped where there are too few."""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
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
def test_cuda_graphs_train_on_batches_of_tokens_too(tmp_path, tiny_model):
    graphs, usual = (
        Training(tmp_path / name, tiny_model, eval_steps=3.0, bf16=False, cuda_graphs=name == "graphs",
                 per_device_train_batch_tokens=64)
        for name in ("graphs", "usual")
    )  # fmt: skip
    assert "64 tokens x 4 accumulated = 256 tokens a step, float32, CUDA graphs" in graphs.run(**ONE)
    usual.run(**ONE)
    assert_same_training(graphs, usual)


def succeeds_on_a_gpu(check: Callable[..., None], *given: object) -> None:
    """In a process of its own, as the other tests see no GPU."""
    process = get_context("spawn").Process(target=check, args=given)
    process.start()
    process.join()
    assert process.exitcode == 0


@needs_a_gpu
def test_a_step_that_waits_for_the_gpu_is_no_graph():
    succeeds_on_a_gpu(refuse_a_step_that_waits)


def refuse_a_step_that_waits() -> None:
    import torch

    from fluency.training.gpu_steps import StepGraphs
    from fluency.utils.errors import UserError

    os.environ |= ONE
    weights = torch.nn.Parameter(torch.ones(3, device="cuda"))

    def step(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        loss = (weights * batch["input"]).sum()
        loss.backward()
        return loss.detach() * (1.0 if loss.item() > 0 else 2.0)

    graphs = StepGraphs(step, [weights])
    graphs({"input": torch.ones(3)})
    with pytest.raises(UserError, match=r"train[.]cuda_graphs: .* cannot be recorded .*; set it to false"):
        graphs({"input": torch.ones(3)})


@needs_a_gpu
def test_packed_pairs_give_what_padded_pairs_give():
    succeeds_on_a_gpu(compare_packed_and_padded)


def compare_packed_and_padded() -> None:
    """Compare both in bfloat16, as FlashAttention has no float32, with padded pairs in float32."""
    import torch

    from benchmarks.packing import pack, packed_logits
    from fluency.model.encoding import collate
    from tests.training.test_packing import models

    os.environ |= ONE
    rng = torch.Generator().manual_seed(0)
    items = [
        {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": 0}
        for count in (3, 50, 17, 1, 31)
        for ids in [torch.randint(1, 60, (count,), generator=rng).tolist()]
    ]
    padded, packed = (model.cuda() for model in models())
    batch, row = ({name: value.cuda() if isinstance(value, torch.Tensor) else value for name, value in made.items()
                   if name != "labels"} for made in (collate(items, 0), pack(items)))  # fmt: skip
    exact = padded(**batch).logits
    with torch.autocast("cuda", torch.bfloat16):
        rounded, found = padded(**batch).logits, packed_logits(packed, **row)
    error = (rounded - exact).abs().max()
    assert error > 0
    assert (found - exact).abs().max() <= 2 * error


@needs_a_gpu
def test_no_step_waits_for_the_gpu(tmp_path, tiny_model):
    """And each shape of a batch that comes again has a graph."""
    succeeds_on_a_gpu(train_without_waiting, Training(tmp_path / "run", tiny_model, num_processes=1).folder)


def train_without_waiting(folder: Path) -> None:
    """Train in `folder`; raises in the first step after the second epoch in which the CPU waits for the GPU."""
    import torch
    from transformers import TrainerCallback

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
    loader, seen = trainer.get_train_dataloader(), Counter()
    for epoch in range(int(params.num_train_epochs)):
        loader.set_epoch(epoch)
        seen.update(batch["input_ids"].shape for batch in loader)
    found = {read["input_ids"].shape for _, read, _ in trainer.graphs.graphs.values()}
    assert found == {shape for shape, times in seen.items() if times > 1}, found
