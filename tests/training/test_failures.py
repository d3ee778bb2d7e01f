"""What ends a training early is told in one line, and the earlier model stays."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from fluency.training.failures import explained, stop_if_diverged
from fluency.training.plan import Devices, plan_for
from fluency.utils.errors import UserError
from tests.helpers.trainings import PARAMS, Training, checked

FOUR = replace(PARAMS, num_processes=4)


@pytest.mark.parametrize(("loss", "grad_norm"), [(float("nan"), 1.0), (0.7, float("inf"))])
def test_diverged_training_stops_with_the_remedy(loss, grad_norm):
    stop_if_diverged(0.7, 1.0, step=1)
    with pytest.raises(UserError, match=r"is (nan|inf) at step 2; lower train\.learning_rate"):
        stop_if_diverged(loss, grad_norm, step=2)


def test_one_batch_of_nan_stops_training_before_it_is_saved(tiny_model, tmp_path):
    training = Training(tmp_path / "poisoned", tiny_model)
    rare = AutoTokenizer.from_pretrained(tiny_model).vocab["the"]
    path = training.folder / "models/base/model.safetensors"
    weights = load_file(path)
    (embeddings,) = [name for name in weights if name.endswith("tok_embeddings.weight")]
    weights[embeddings][rare] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    assert "error: training diverged: loss is nan at step" in training.run(fails=True)
    assert list(training.checkpoints.glob("*/checkpoint-*")) == []
    assert not training.model.exists()


def test_a_full_disk_is_said_and_the_earlier_model_stays(tiny_model, tmp_path):
    mount = "mkdir .checkpoints && mount -t tmpfs -o size=400k tmpfs .checkpoints"
    isolated = [shutil.which("unshare") or "unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if not shutil.which("unshare") or subprocess.run([*isolated, f"cd {tmp_path} && {mount}"], check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    training = Training(tmp_path / "full", tiny_model)
    training.model.mkdir()
    (training.model / "earlier").touch()
    process = subprocess.Popen(
        [*isolated, f"{mount} && exec {sys.executable} -m stages.train"], cwd=training.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = process.communicate()
    checked(process.returncode, printed, fails=True)
    assert "error: the disk is full: a checkpoint or the model could not be written" in printed
    assert [path.name for path in training.model.parent.iterdir() if path.name != "base"] == ["fluency"]
    assert (training.model / "earlier").exists()


def test_running_out_of_memory_names_what_helps_and_keeps_the_batch():
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    plan = plan_for(FOUR, Devices("cuda", 2))
    message = str(explained(error, FOUR, plan))
    assert "train.per_device_train_batch_size=4 and train.gradient_accumulation_steps=2" in message
    assert "(a step remains 32 pairs) or set train.gradient_checkpointing=true" in message
    helped = replace(FOUR, per_device_train_batch_size=4, gradient_accumulation_steps=2)
    assert plan_for(helped, Devices("cuda", 2)).global_batch == plan.global_batch
    last = replace(FOUR, per_device_train_batch_size=1, gradient_checkpointing=True)
    assert "lower encode.max_length" in str(explained(error, last, plan_for(last, Devices("cuda", 4))))


def test_running_out_of_memory_with_batches_of_tokens_names_fewer():
    params = replace(PARAMS, per_device_train_batch_tokens=4096)
    message = str(explained(torch.OutOfMemoryError("CUDA out of memory"), params, plan_for(params, Devices("cuda", 1))))
    assert (
        "train.per_device_train_batch_tokens=2048 and train.gradient_accumulation_steps=2 (which starts anew) or set"
        in message
    )


def test_what_is_not_understood_is_left_as_it_is():
    error = ValueError("a bug")
    assert explained(error, PARAMS, plan_for(PARAMS, Devices("cpu", 1))) is error
