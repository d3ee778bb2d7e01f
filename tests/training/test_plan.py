"""An experiment is its params: what runs is planned from them and the devices, with the global batch kept."""

from dataclasses import replace
from pathlib import Path

import pytest
from accelerate.commands.config import load_config_from_file
from hypothesis import given
from hypothesis import strategies as st

from fluency.model.device import Device, device_at_hand
from fluency.params import load_params
from fluency.training.plan import Devices, devices_at_hand, plan_for
from fluency.utils.errors import UserError

PARAMS = load_params().train
FOUR = replace(PARAMS, num_processes=4)


@pytest.mark.parametrize(
    ("devices", "shape", "bf16"),
    [
        (Devices("cuda", 4, bf16=True), (4, 8, 1), True),
        (Devices("cuda", 2, bf16=True), (2, 8, 2), True),
        (Devices("cuda", 1, bf16=True), (1, 8, 4), True),
        (Devices("cuda", 8, bf16=True), (4, 8, 1), True),
        (Devices("cuda", 1), (1, 8, 4), False),
        (Devices("cpu", 1), (1, 8, 4), False),
        (Devices("cuda", 8, bf16=True, machines=2), (4, 8, 1), True),
    ],
)
def test_fewer_devices_accumulate_more(devices, shape, bf16):
    plan = plan_for(FOUR, devices)
    assert (plan.processes, plan.batch, plan.accumulation) == shape
    assert plan.global_batch == 32
    assert (plan.bf16, plan.device) == (bf16, devices.type)


def test_the_defaults_run_one_process_without_accumulation():
    plan = plan_for(PARAMS, Devices("cpu", 1))
    assert (plan.processes, plan.batch, plan.accumulation, plan.bf16) == (1, 8, 1, False)
    assert str(plan) == "1 cpu process x 8 pairs x 1 accumulated = 8 pairs a step, float32"


def test_bf16_is_used_only_where_it_is_wanted():
    assert not plan_for(replace(FOUR, bf16=False), Devices("cuda", 4, bf16=True)).bf16


def test_a_batch_that_does_not_divide_is_refused_with_the_nearest_choices():
    with pytest.raises(UserError) as caught:
        plan_for(FOUR, Devices("cuda", 3))
    for part in (
        "4 x 8 x 1 = 32 pairs",
        "among 3 processes",
        "set train.num_processes=2 (16 pairs) or train.num_processes=3 (24 pairs)",
    ):
        assert part in str(caught.value)
    assert "use 2 processes (CUDA_VISIBLE_DEVICES" in str(caught.value)
    assert plan_for(replace(FOUR, num_processes=3), Devices("cuda", 3)).global_batch == 24
    with pytest.raises(UserError, match="on 2 machine"):
        plan_for(replace(FOUR, num_processes=3), Devices("cuda", 8, machines=2))
    with pytest.raises(UserError, match=r"set train\.num_processes=2"):
        plan_for(PARAMS, Devices("cuda", 8, machines=2))


def test_batches_of_tokens_stay_whole():
    tokens = replace(FOUR, per_device_train_batch_tokens=1024)
    plan = plan_for(tokens, Devices("cuda", 2))
    assert (plan.processes, plan.batch, plan.accumulation, plan.global_batch) == (2, 1024, 2, 4096)
    assert str(plan).startswith("2 cuda processes x 1024 tokens x 2 accumulated = 4096 tokens a step, float32")
    with pytest.raises(UserError, match=r"4 x 1 x 1 = 4 batches a step .*num_processes=2 \(2 batches\)"):
        plan_for(tokens, Devices("cuda", 3))


@given(st.integers(1, 16), st.integers(1, 16), st.integers(1, 8), st.integers(1, 16))
def test_a_plan_keeps_the_global_batch_or_is_refused(processes, batch, accumulation, count):
    params = replace(
        PARAMS, num_processes=processes, per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation
    )
    used = min(processes, count)
    try:
        plan = plan_for(params, Devices("cuda", count))
    except UserError:
        assert processes * batch * accumulation % used
    else:
        assert plan.global_batch == processes * batch * accumulation
        assert plan.processes == used
        assert plan.batch <= batch


@pytest.mark.parametrize(("rank", "gpus", "name"), [(None, 2, "cuda:0"), ("1", 2, "cuda:1"), ("1", 1, "cuda:0")])
def test_each_process_of_a_launch_has_a_gpu_of_its_own(monkeypatch, rank, gpus, name):
    """Or the one that its launcher shows it."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert (device_at_hand().name, Device("cpu", False, 1).name) == (name, "cpu")


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_that_a_gpu_only_emulates_is_not_planned(monkeypatch, native):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert (devices_at_hand(None).bf16, device_at_hand().bf16) == (native, native)


def test_the_example_configurations_are_read(monkeypatch):
    """On a machine without GPUs one CPU process takes the place of one machine's."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices_at_hand(None).count == 1
    assert devices_at_hand("accelerate_configs/four_gpus.yaml") == Devices("cpu", 1)
    assert devices_at_hand("accelerate_configs/fsdp.yaml") == Devices("cpu", 1)
    with pytest.raises(UserError, match="wants 4 GPUs on each of 2 machines, and 0 are here"):
        devices_at_hand("accelerate_configs/two_machines.yaml")


@pytest.mark.parametrize("path", sorted(Path("accelerate_configs").iterdir()), ids=str)
def test_accelerate_reads_the_example_configurations(path):
    config = load_config_from_file(str(path))
    assert (config.num_processes, config.use_cpu) == (4 * config.num_machines, False)


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), ("- 1", "no accelerate configuration")])
def test_a_bad_accelerate_configuration_is_named(tmp_path, content, message):
    path = tmp_path / "own.yaml"
    if content:
        path.write_text(content)
    with pytest.raises(UserError, match=rf"train\.accelerate_config: .*own\.yaml.* {message}|{message}"):
        devices_at_hand(str(path))
