"""Training is the reference's recipe: order of rows, loss, arguments, choice of the checkpoint."""

import json
import random
import re
import shutil
import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import EvalPrediction

from fluency.model.encoding import STATIC_LENGTHS, collate, static_lengths
from fluency.params import load_params
from fluency.training.callbacks import wandb_wanted
from fluency.training.gpu_steps import compile_layers
from fluency.training.new_model import new_cross_encoder
from fluency.training.objective import mean_loss, selection_metrics
from fluency.training.plan import Devices, plan_for
from fluency.training.sampler import GlobalBatchSampler, TokenBatchSampler
from fluency.training.trainer import training_arguments
from tests.helpers.trainings import Training, read_json

# --- the order of rows ---


def sampler(count: int = 103, seed: int = 1, batch: int = 8, **share: int) -> GlobalBatchSampler:
    rng = random.Random(0)
    lengths = [length for _ in range(0, count, 2) for length in [rng.randrange(5, 60)] * 2][:count]
    edits = [row // 2 for row in range(count)]
    return GlobalBatchSampler(lengths, edits, batch=batch, batches=8 // batch, seed=seed, **share)


def test_an_epoch_has_every_row_in_whole_global_batches():
    batches = list(sampler())
    assert {len(batch) for batch in batches} == {8}
    assert len(batches) == len(sampler()) == 13
    assert set(chain(*batches)) == set(range(103))


@pytest.mark.parametrize(("processes", "batch"), [(1, 4), (2, 4), (4, 2), (2, 1)])
def test_any_number_of_processes_sees_the_same_global_batches(processes, batch):
    shares = [sampler(batch=batch, process=process, processes=processes) for process in range(processes)]
    assert {len(share) for share in shares} == {len(list(share)) for share in shares} == {104 // batch // processes}
    rows = [row for turn in zip(*shares, strict=True) for its in turn for row in its]
    assert rows == list(chain(*sampler()))


def test_an_edit_and_its_reverse_stand_in_the_same_batch():
    assert all({row ^ 1 for row in batch} == set(batch) for batch in sampler(800))


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
    spread = [np.ptp([ours.lengths[row] for row in batch]) for batch in ours]
    assert np.median(spread) <= 2
    assert np.ptp(ours.lengths) > 50


@given(
    st.lists(st.tuples(st.integers(3, 200), st.sampled_from([1, 2, 2, 2, 3, 4])), min_size=1, max_size=150),
    st.sampled_from([8, 64, 1000, 4096]),
    st.sampled_from([(1, 1), (2, 1), (2, 3), (4, 2)]),
    st.integers(0, 9),
)
def test_batches_of_tokens_have_every_row_and_fit(edits, tokens, share, seed):
    """In as many steps each epoch, and the same for any number of processes; also where a pair stands twice."""
    processes, accumulated = share
    rows = [(length + way % 2, number) for number, (length, times) in enumerate(edits) for way in range(times)]
    lengths, numbers = zip(*rows, strict=True)
    max_length = max(lengths)

    def batches(process: int = 0, processes: int = 1, epoch: int = 0) -> list[list[int]]:
        ours = TokenBatchSampler(
            lengths, numbers, tokens=tokens, max_length=max_length, batches=share[0] * accumulated, seed=seed,
            process=process, processes=processes,
        )  # fmt: skip
        ours.set_epoch(epoch)
        assert len(ours) == len(list(ours))
        return list(ours)

    whole = batches()
    assert len(batches(epoch=1)) == len(whole)
    assert set(chain(*whole)) == set(range(len(rows)))
    for batch in whole:
        items = [{"input_ids": [1] * lengths[row]} for row in batch]
        for allowed in (static_lengths(max_length, positions=8192), static_lengths(max_length, positions=200), ()):
            assert len(batch) == 2 or collate(items, 0, lengths=allowed)["input_ids"].numel() <= tokens
    a_step = processes * accumulated
    steps = [whole[start : start + a_step] for start in range(0, len(whole), a_step)]
    assert all(len({len(batch) for batch in step}) == 1 for step in steps)
    assert sum(map(len, whole)) - len(rows) < max(sum(map(len, step)) for step in steps)  # only the last is filled up
    shares = [batches(process, processes) for process in range(processes)]
    assert [batch for turn in zip(*shares, strict=True) for batch in turn] == whole


def test_in_batches_of_tokens_an_edit_stands_with_its_reverse():
    lengths, edits = [length for length in range(10, 210) for _ in range(2)], [row // 2 for row in range(400)]
    for batch in TokenBatchSampler(lengths, edits, tokens=1024, max_length=512, batches=2, seed=1):
        assert {row ^ 1 for row in batch} == set(batch)


def test_pairs_that_are_cut_fill_their_batches():
    ours = TokenBatchSampler([512] * 400, range(400), tokens=8192, max_length=512, batches=1, seed=1)
    assert {len(batch) for batch in ours} == {8192 // 520 // 2 * 2}


# --- loss, selection, arguments ---


def test_loss_is_the_mean_over_the_global_batch():
    logits, labels = torch.randn(6, 2), torch.tensor([0, 1, 1, 0, 1, 0])
    whole = mean_loss({"logits": logits}, labels)
    assert whole == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())
    shares = [mean_loss({"logits": logits[part]}, labels[part], 6) for part in (slice(0, 4), slice(4, 6))]
    assert sum(shares).item() == pytest.approx(whole.item())


def test_static_lengths_are_few():
    def padded(length: int, lengths: tuple[int, ...]) -> int:
        return collate([{"input_ids": [1] * length}], 0, lengths=lengths)["input_ids"].shape[1]

    lengths = static_lengths(512, positions=8192)
    assert {padded(length, lengths) for length in range(1, 513)} == set(lengths) == {*STATIC_LENGTHS[:10], 520}
    assert [padded(length, ()) for length in (1, 8, 9, 600)] == [8, 8, 16, 600]


@pytest.mark.parametrize(("max_length", "positions"), [(512, 512), (100, 128), (100, 100), (128, 130), (700, 8192)])
def test_no_pair_is_padded_beyond_the_models_positions(max_length, positions):
    lengths = static_lengths(max_length, positions)
    for count in range(1, max_length + 1):
        padded = collate([{"input_ids": [1] * count}] * 2, 0, lengths=lengths)["input_ids"].shape[1]
        assert count <= padded <= positions
        assert padded > count or count == max_length
        assert padded in lengths


def test_each_kind_of_layer_is_compiled_once_for_each_length(tiny_model):
    """And never for all lengths, as torch.compile does by itself from the second on; with padding, and without."""
    from torch._dynamo.utils import counters

    model, compiled = new_cross_encoder(tiny_model, 0, 0.0), []
    with torch._dynamo.config.patch(recompile_limit=8):
        compile_layers(model)
        counters.clear()
        for length, shorter in ((16, 1), (32, 1), (48, 1), (16, 2), (16, 0), (32, 0), (31, 0)):
            rows = [{"input_ids": [5] * count, "attention_mask": [1] * count} for count in (length, length - shorter)]
            model(**collate(rows, 0, lengths=STATIC_LENGTHS))
            compiled.append(counters["stats"]["unique_graphs"])
    assert compiled == [2, 4, 6, 6, 6, 6, 6]  # it has two kinds of layers


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


HUB = "hub:timonziegenbein/fluency-agumented-edits"


@pytest.mark.parametrize(
    ("more", "model", "changed"),
    [
        ([], "ModernBERT-large", {}),
        (["model.source=hub:answerdotai/ModernBERT-base"], "ModernBERT-base", {}),  # the earlier run, jycpxsf5
        (["train.per_device_train_batch_size=16", "train.eval_steps=50"], "ModernBERT-large",  # the published model
         {"per_device_train_batch_size": 16, "eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 50}),
    ],
)  # fmt: skip
def test_the_recipe_is_the_references(tmp_path, more, model, changed):
    """Every value of the reference's table, as four GPUs would get it; docs/reference_recipe.md has the overrides."""
    from dvc.utils.hydra import apply_overrides

    recipe = Path("Makefile").read_text(encoding="utf-8").partition("\nreference:")[2].partition("\n\n")[0]
    overrides = re.findall(r"-S (\S+)", recipe)
    assert len(overrides) == 3
    page = Path("docs/reference_recipe.md").read_text(encoding="utf-8")
    assert all(f"-S {override}" in page for override in [*overrides, *more])
    shutil.copyfile("params.yaml", tmp_path / "params.yaml")
    apply_overrides(tmp_path / "params.yaml", [*overrides, *more])
    params = load_params(tmp_path / "params.yaml")
    plan = plan_for(params.train, Devices("cuda", 4, bf16=True))
    assert params.model.source == f"hub:answerdotai/{model}"
    assert (params.data.source, params.pairs.single_edit_only) == (HUB, True)
    batch = changed.get("per_device_train_batch_size", 8)
    assert (plan.processes, plan.batch, plan.accumulation, plan.bf16) == (4, batch, 1, True)
    # bf16 arguments need the GPU itself
    arguments = training_arguments(params.train, replace(plan, device="cpu", bf16=False), tmp_path)
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
        "optim": "adamw_torch_fused",  # adamw_torch in one kernel
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "max_grad_norm": 1.0,
        "label_smoothing_factor": 0.0,
        "activation_checkpointing": False,
        "ddp_broadcast_buffers": False,  # as the reference's model has none that changes
    } | changed
    assert {name: getattr(arguments, name) for name in expected} == expected
    assert params.train.metric_for_best_model == "precision"


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


def test_a_new_cross_encoder_has_our_labels_and_no_dropout(tiny_model):
    from fluency.model.encoding import load_tokenizer

    model = new_cross_encoder(tiny_model, load_tokenizer(tiny_model).pad_token_id, 0.0)
    assert model.config.id2label == {0: "non-fluent", 1: "fluent"}
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} <= {0.0}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


# --- whole trainings ---


def test_the_model_folder_is_safe_and_alone(usual):
    assert {path.suffix for path in usual.model.iterdir()} <= {".json", ".safetensors", ".txt", ".jinja"}
    assert read_json(usual.model / "config.json")["id2label"] == {"0": "non-fluent", "1": "fluent"}
    assert {path.name for path in usual.model.parent.iterdir()} == {"base", "fluency"}


def test_the_figures_are_the_last_of_the_curves(usual):
    figures = read_json(usual.folder / "metrics/training.json")
    assert figures["training"].keys() >= {"step", "epoch", "loss"}
    assert figures["validation"].keys() >= {"step", "loss", "precision", "recall", "average_precision"}
    for name, its in figures.items():
        assert its == {column: usual.curve(f"{name}.csv", column)[-1] for column in its}


def test_wandb_offline_is_written_with_the_metrics_and_the_plan(tiny_model, tmp_path):
    training = Training(tmp_path / "run", tiny_model, num_train_epochs=2.0)
    training.run(WANDB_MODE="offline", WANDB_DIR=str(tmp_path), WANDB_SILENT="true")
    (log,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    records = list(wandb_records(log))
    (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert run.project == "fluency-scorer-eval"
    config = {item.key: json.loads(item.value_json) for record in records for item in record.config.update if item.key}
    assert config["plan"] == "1 cpu process x 2 pairs x 4 accumulated = 8 pairs a step, float32"
    assert config["learning_rate"] == training.params.learning_rate
    logged = [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for record in records
    ]
    for name in ("loss", "precision", "recall", "f1", "accuracy", "average_precision"):
        values = [float(f"{row[f'eval/{name}']:.6g}") for row in logged if f"eval/{name}" in row]
        assert values == training.curve("validation.csv", name), name
        assert len(values) == 2
    assert [row["train/loss"] for row in logged if "train/loss" in row] == pytest.approx(
        training.curve("training.csv", "loss"), rel=1e-5
    )


def wandb_records(log: Path) -> Iterator[Any]:
    """What W&B wrote, offline: protocol buffers in LevelDB's log format, blocks of 32 KiB with fragments of records."""
    from wandb.proto.wandb_internal_pb2 import Record

    written, at, record = log.read_bytes(), 7, b""
    while at < len(written):
        if 32_768 - at % 32_768 < 7:  # no header fits into the block any more
            at += 32_768 - at % 32_768
            continue
        _, size, fragment = struct.unpack_from("<IHB", written, at)
        record += written[at + 7 : at + 7 + size]
        at += 7 + size
        if fragment in (1, 4):  # whole, or the last one
            yield Record.FromString(record)
            record = b""


def test_one_bar_shows_loss_and_precision(usual):
    printed = usual.printed
    assert re.search(r"100%.* 44/44 .*loss=0\.\d+, precision=\d\.\d+, recall=", printed)
    assert "{'loss'" not in printed
    assert {line.partition("%")[2].split()[2].split("/")[-1] for line in printed.split("\r") if "%|" in line} == {"44"}


def test_the_best_of_several_evaluations_an_epoch_is_kept_and_patience_ends_training(tiny_model, tmp_path):
    training = Training(tmp_path / "often", tiny_model, eval_steps=3.0, early_stopping_patience=2)
    training.run()
    steps, precision = training.curve("validation.csv", "step"), training.curve("validation.csv", "precision")
    assert steps == [3.0 * count for count in range(1, len(steps) + 1)]
    best = precision.index(max(precision))  # the first of equals
    assert len(precision) == best + 3 < 44 // 3


def test_of_equal_checkpoints_the_earliest_is_kept(tiny_model, tmp_path):
    training = Training(tmp_path / "ties", tiny_model, learning_rate=1e-7)  # so little that no decision changes
    training.model.touch()  # a file where the folder has to go, so that the chosen checkpoint stays
    with pytest.raises(AssertionError, match="NotADirectoryError"):
        training.run()
    precision, steps = training.curve("validation.csv", "precision"), training.curve("validation.csv", "step")
    assert (len(set(precision)), steps) == (1, [11, 22, 33, 44])
    assert [path.name for path in training.checkpoints.glob("*/checkpoint-*")] == ["checkpoint-11"]


def test_a_compiled_model_is_trained_and_written_as_any_other(tiny_model, tmp_path):
    """At one length, because compiling takes most of the time."""
    usual, compiled = (
        Training(
            tmp_path / name, tiny_model, num_train_epochs=1.0, max_length=16, per_device_eval_batch_size=32,
            per_device_train_batch_size=8, num_processes=1, torch_compile=name == "compiled",
        )
        for name in ("usual", "compiled")
    )  # fmt: skip
    usual.run()
    compiled.run(TORCH_LOGS="recompiles")
    weights = compiled.weights()
    assert weights.keys() == usual.weights().keys()
    for name, expected in usual.weights().items():
        assert torch.allclose(weights[name], expected, atol=1e-5), name


def test_less_memory_gives_the_same_model(usual, tiny_model, tmp_path):
    """What the message on running out of memory proposes."""
    less = Training(
        tmp_path / "less", tiny_model, gradient_checkpointing=True,
        per_device_train_batch_size=1, gradient_accumulation_steps=2,
    )  # fmt: skip
    assert "1 cpu process x 1 pairs x 8 accumulated" in less.run()
    for name, weights in usual.weights().items():
        assert torch.allclose(weights, less.weights()[name], atol=1e-4), name
