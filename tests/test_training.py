"""Training is the recipe, whatever the number of processes, and goes on after it was cut off."""

import csv
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file
from transformers import EvalPrediction

from fluency.curves import stop_if_diverged
from fluency.errors import UserError
from fluency.hardware import Device, leave_lonely_group
from fluency.params import load_params
from fluency.sampling import GlobalBatchSampler
from fluency.training import (
    experiment_digest,
    last_whole_checkpoint,
    mean_loss,
    new_classifier,
    selection_metrics,
    training_arguments,
    wandb_wanted,
)

PARAMS = load_params().train
CPU = Device("cpu", False, 1, 1)


# --- the order of rows ---


def sampler(count: int = 103, global_batch: int = 8, seed: int = 1) -> GlobalBatchSampler:
    rng = random.Random(0)
    lengths = [length for _ in range(0, count, 2) for length in [rng.randrange(5, 60)] * 2][:count]
    return GlobalBatchSampler(lengths, [row // 2 for row in range(count)], global_batch=global_batch, seed=seed)


def test_an_epoch_has_every_row_in_whole_global_batches():
    order = list(sampler())
    assert len(order) == len(sampler()) == 104
    assert set(order) == set(range(103))


def test_an_edit_and_its_reverse_stand_in_the_same_batch():
    order = list(sampler(800))
    batch_of = {row: place // 8 for place, row in enumerate(order)}
    assert all(batch_of[row] == batch_of[row + 1] for row in range(0, 800, 2))


def test_epochs_differ_and_repeat_by_seed():
    one, other = sampler(), sampler()
    first = list(one)
    one.set_epoch(1)
    assert list(one) != first == list(other)
    other.set_epoch(1)
    assert list(one) == list(other)
    assert list(sampler(seed=2)) != first


def test_batches_hold_similar_lengths():
    ours = sampler(2000)
    spread = [np.ptp([ours.lengths[row] for row in list(ours)[at : at + 8]]) for at in range(0, 2000, 8)]
    assert np.median(spread) <= 2
    assert np.ptp(ours.lengths) > 50


# --- loss, selection, arguments ---


def test_loss_is_the_mean_over_the_global_batch():
    logits, labels = torch.randn(6, 2), torch.tensor([0, 1, 1, 0, 1, 0])
    whole = mean_loss({"logits": logits}, labels)
    assert whole == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())
    shares = [mean_loss({"logits": logits[part]}, labels[part], 6) for part in (slice(0, 4), slice(4, 6))]
    assert sum(shares).item() == pytest.approx(whole.item())


def test_selection_refuses_lucky_positives():
    labels = np.array([1, 1, 1, 1, 0, 0])

    def select(scores):
        margin = np.array(scores) - 0.5
        return selection_metrics(
            EvalPrediction(np.stack([-margin, margin], axis=1), labels), metric="precision", min_recall=0.5
        )["selection"]

    lucky, half, all_ = select([1, 0, 0, 0, 0, 0]), select([1, 1, 0, 0, 1, 0]), select([1, 1, 1, 1, 1, 1])
    assert lucky < 0 < half == pytest.approx(2 / 3) == all_
    assert select([0, 0, 0, 0, 0, 0]) < lucky


def test_the_recipe_is_the_references(tmp_path):
    """DESIGN's table: what the three overrides of `make reference` resolve to on GPUs."""
    arguments = training_arguments(replace(PARAMS, num_processes=4), Device("cpu", False, 1, 4), tmp_path)
    expected = {
        "learning_rate": 3e-5,
        "weight_decay": 0.001,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "num_train_epochs": 3,
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 16,
        "gradient_accumulation_steps": 1,
        "seed": 42,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "load_best_model_at_end": True,
        "greater_is_better": True,
    }
    assert {name: getattr(arguments, name) for name in expected} == expected
    assert PARAMS.bf16
    assert PARAMS.metric_for_best_model == "precision"
    assert arguments.optim.startswith("adamw_torch")


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"WANDB_API_KEY": "k"}, True),
        ({"WANDB_API_KEY": "k", "WANDB_MODE": "disabled"}, False),
        ({"WANDB_MODE": "offline"}, True),
        ({"WANDB_MODE": "online"}, False),
    ],
)
def test_wandb_is_used_only_where_it_is_configured(environment, wanted):
    assert wandb_wanted(environment) == wanted


def test_a_group_of_one_is_left_and_a_group_of_two_is_kept():
    one = {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "HOME": "/"}
    leave_lonely_group(one)
    assert one == {"HOME": "/"}
    two = {"WORLD_SIZE": "2", "RANK": "0"}
    leave_lonely_group(two)
    assert two == {"WORLD_SIZE": "2", "RANK": "0"}


def test_a_new_classifier_has_our_labels_and_no_dropout(tiny_model):
    from fluency.encoding import load_tokenizer

    model = new_classifier(tiny_model, load_tokenizer(tiny_model), 0.0)
    assert model.config.id2label == {0: "non-fluent", 1: "fluent"}
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} <= {0.0}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("bad", [{"loss": float("nan")}, {"grad_norm": float("inf")}])
def test_diverged_training_stops_with_the_remedy(bad):
    fine = {"step": 1, "loss": 0.7, "grad_norm": 1.0}
    stop_if_diverged([])
    stop_if_diverged([fine])
    with pytest.raises(UserError, match=r"is (nan|inf) at step 2; lower train\.learning_rate"):
        stop_if_diverged([fine, fine | {"step": 2} | bad])


# --- real processes ---

SCRIPT = """
import json, sys
from pathlib import Path
from fluency.params import TrainParams
from fluency.training import train
spec = json.loads(Path(sys.argv[1]).read_text())
train(TrainParams(**spec["params"]), spec["train"], spec["validation"], base=Path(spec["base"]),
      model_folder=Path(spec["out"]), curves=Path(spec["curves"]), checkpoint_root=Path(spec["checkpoints"]))
"""


def pairs(count: int) -> list[dict]:
    rng = random.Random(3)
    words = "the a cat dogs run runs is are big very house in on".split()
    rows = []
    for _ in range(count // 2):
        good = [rng.choice(words) for _ in range(rng.randrange(3, 12))]
        bad = [*good[:2], good[1], *good[2:]]
        rows.append({"before": " ".join(good), "after": " ".join(bad), "label": 0})
        rows.append({"before": " ".join(bad), "after": " ".join(good), "label": 1})
    return rows


ONE = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}


def prepare(folder: Path, base: Path, processes: int, **changes) -> tuple[list[str], dict[str, str]]:
    """The command that trains in real processes, started as dvc.yaml does, and its environment."""
    folder.mkdir(exist_ok=True)
    recipe = {"num_processes": processes, "num_train_epochs": 4.0, "learning_rate": 1e-3, "min_recall": 0.0}
    params = asdict(replace(PARAMS, **recipe, **changes))
    spec = {
        "params": params,
        "train": pairs(86),
        "validation": pairs(22),
        "base": str(base),
        "out": str(folder / "model"),
        "curves": str(folder / "curves"),
        "checkpoints": str(folder / "checkpoints"),
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "run.py").write_text(SCRIPT)
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--config_file", "accelerate.yaml",
        "--num_processes", str(processes), str(folder / "run.py"), str(folder / "spec.json"),
    ]  # fmt: skip
    return command, os.environ | {"PYTHONPATH": str(Path.cwd())}


def launch(folder: Path, base: Path, processes: int, *, environment: dict | None = None, **changes) -> Path:
    """Train; returns the folder, with `model` and `curves`."""
    command, usual = prepare(folder, base, processes, **changes)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=usual | (environment or {}))
    assert done.returncode == 0, done.stderr
    return folder


def curve(folder: Path, name: str, column: str) -> list[float]:
    with (folder / "curves" / name).open() as file:
        return [float(row[column]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory, tiny_model) -> Path:
    folder = tmp_path_factory.mktemp("training") / "one"
    return launch(folder, tiny_model, 1, **ONE)


def test_two_processes_train_as_one_with_twice_the_accumulation(one_process, tiny_model):
    two = launch(one_process.parent / "two", tiny_model, 2, per_device_train_batch_size=4)
    assert len(curve(two, "training.csv", "loss")) >= 20
    # A mistake in the scaling is a factor of two; what float32 sums leave in another order is amplified by the steps.
    for name, column, tolerance in (
        ("training.csv", "loss", 1e-3),
        ("training.csv", "grad_norm", 2e-2),
        ("validation.csv", "loss", 1e-3),
    ):
        expected = pytest.approx(curve(one_process, name, column), rel=tolerance)
        assert curve(two, name, column) == expected, (name, column)
    ours, theirs = (load_file(folder / "model/model.safetensors") for folder in (one_process, two))
    for name, weights in ours.items():
        assert torch.allclose(weights, theirs[name], atol=1e-4), name


def test_the_model_folder_is_safe_and_loads(one_process):
    assert {path.suffix for path in (one_process / "model").iterdir()} <= {".json", ".safetensors", ".txt", ".jinja"}
    assert json.loads((one_process / "model/config.json").read_text())["id2label"] == {"0": "non-fluent", "1": "fluent"}
    assert not list((one_process / "checkpoints").iterdir())


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(one_process, tiny_model, tmp_path):
    command, environment = prepare(tmp_path, tiny_model, 1, **ONE)
    running = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("checkpoints/*/checkpoint-*/trainer_state.json")):
        assert running.poll() is None, "training ended before it was killed"
        time.sleep(0.01)
    trainers = psutil.Process(running.pid).children()
    running.kill()  # the launcher alone; its trainer has to end with it
    running.wait()
    psutil.wait_procs(trainers, timeout=30)
    assert trainers
    assert not any(trainer.is_running() for trainer in trainers)
    assert not (tmp_path / "model").exists()
    launch(tmp_path, tiny_model, 1, **ONE)
    for name in ("model/model.safetensors", "curves/training.csv", "curves/validation.csv"):
        assert (tmp_path / name).read_bytes() == (one_process / name).read_bytes(), name


def test_wandb_offline_is_written_with_the_metrics(tiny_model, tmp_path):
    environment = {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true"}
    launch(tmp_path / "run", tiny_model, 1, environment=environment, **ONE)
    (log,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    written = log.read_bytes()
    for name in (b"fluency-scorer-eval", b"eval/precision", b"eval/recall", b"eval/f1", b"eval/accuracy"):
        assert name in written, name


def test_a_checkpoint_cut_off_while_it_was_written_is_not_resumed(tmp_path):
    assert last_whole_checkpoint(tmp_path / "absent") is None
    for name in (
        "checkpoint-9/trainer_state.json",
        "checkpoint-10/trainer_state.json",
        "checkpoint-11/optimizer.pt",
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert not (tmp_path / "checkpoint-11").exists()


def test_another_experiment_does_not_pick_up_its_checkpoints(tmp_path, tiny_model):
    names = set()
    for params in (PARAMS, replace(PARAMS, learning_rate=1e-5)):
        for rows in (pairs(10), pairs(12)):
            names.add(experiment_digest(params, rows, rows, tiny_model, CPU))
    names.add(experiment_digest(PARAMS, pairs(10), pairs(10), tiny_model, replace(CPU, processes=2)))
    assert len(names) == 5
