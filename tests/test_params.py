"""params.yaml is read as DVC reads it, and what is wrong in it is named in one line."""

from pathlib import Path

import pytest

from fluency.params import load_params
from fluency.sources.data import Source
from fluency.utils.errors import UserError

PARAMS = Path("params.yaml").read_text(encoding="utf-8")


def load_with(tmp_path: Path, old: str, new: str):
    assert old in PARAMS
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.replace(old, new), encoding="utf-8")
    return load_params(path)


@pytest.mark.parametrize("written", ["5e-05", "5e-5", "3E-5", "0.00005", "5.e-5", "1"])
def test_learning_rates_are_numbers_as_dvc_writes_them(tmp_path, written):
    params = load_with(tmp_path, "learning_rate: 3e-05", f"learning_rate: {written}")
    assert params.train.learning_rate == float(written)
    assert isinstance(params.train.learning_rate, float)


def test_sources_are_one_or_a_list(tmp_path):
    def named(written: str) -> list[Source]:
        return load_with(tmp_path, "source: sample", f"source: {written}").data.sources

    assert named("sample") == [Source(sample=True)]
    assert named("{path: x, split: train}") == [Source(path="x", split="train")]
    assert named("[sample, 'path:x']") == [Source(sample=True), Source(path="x")]
    settings = "format: m2, split: train, columns: {before: src}, labels: {good: 1, bad: 0, 3: }, files: '*.m2'"
    assert named(f"[hub:a/b, {{path: x, {settings}}}]") == [
        Source(hub="a/b"),
        Source(path="x", format="m2", split="train", columns={"before": "src"},
               labels={"good": 1, "bad": 0, "3": None}, files="*.m2"),
    ]  # fmt: skip


def test_a_free_mapping_is_taken_as_json_has_it(tmp_path):
    written = "options: {a: low, b: 1, c: 2.5, d: true, e: null, f: [1, {g: x}], h: {1: y}}"
    options = load_with(tmp_path, "options: {}", written).llm.options
    assert options == {"a": "low", "b": 1, "c": 2.5, "d": True, "e": None, "f": [1, {"g": "x"}], "h": {"1": "y"}}
    assert type(options["b"]) is int


def test_the_committed_params_are_valid():
    assert load_params().data.source == "sample"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("learning_rate: 3e-05", "learning_rate: abc", "train.learning_rate: expected float, found 'abc'"),
        ("learning_rate: 3e-05", "learning_rate: .nan", "train.learning_rate: expected a finite number"),
        ("learning_rate: 3e-05", "learning_rate: -1", "train.learning_rate: must be above 0"),
        ("learning_rate: 3e-05", "learning_rat: 0.1", "train.learning_rat: unknown key"),
        ("  learning_rate: 3e-05\n", "", "train.learning_rate: missing key"),
        ("num_processes: 1", "num_processes: 1.5", "train.num_processes: expected int, found 1.5"),
        ("num_processes: 1", "num_processes: true", "train.num_processes: expected int, found True"),
        ("bf16: true", "bf16: 1", "train.bf16: expected bool, found 1"),
        ("metric_for_best_model: precision", "metric_for_best_model: luck", "train.metric_for_best_model: 'luck'"),
        ("near_duplicates: 0.7", "near_duplicates: 0.3", "pairs.near_duplicates: must be between 0.5 and 1, or null"),
        ("disagreement: majority", "disagreement: most", "pairs.disagreement: 'most' is none of any, majority, all"),
        ("conflicts: keep", "conflicts: any", "pairs.conflicts: 'any' is none of keep, drop, majority"),
        ("duplicates: keep", "duplicates: majority", "pairs.duplicates: 'majority' is none of keep, drop"),
        ("keep_unseen: false", "keep_unseen: 0", "encode.keep_unseen: expected bool, found 0"),
        ("max_train_samples:", "max_train_samples: 0", "pairs.max_train_samples: must be above 0"),
        ("lr_scheduler_type: cosine", "lr_scheduler_type: cosin", "train.lr_scheduler_type: 'cosin' is none of"),
        ("agreement: 3.0", "agreement: -1", "pairs.augment.rates: rates must be 0 or more"),
        ("    train: 0.7", "    train: 0.6", "pairs.split: train, validation and test"),
        ("decision:\n", "decision: 3\nx:\n", "x: unknown key"),
        ("data:\n", "data: [\n", "not YAML"),
        ("source: sample", "source: 3", "data.source: expected str, found 3"),
        ("source: sample", "source: []", "data.source: names no source"),
        ("source: sample", "source: [sample, 3]", "data.source: expected str, found 3"),
        ("source: sample", "source: [sample, sample]", "data.source: names 'sample' twice"),
        ("format:\n", "format: m3\n", "data.format: 'm3' is none of reference, labelled, parallel, jfleg"),
        (
            "source: sample",
            "source: [{path: x, formt: m2}]",
            "data.source.formt: unknown key; known here: sample",
        ),
        ("source: sample", "source: [{path: x, format: m3}]", "data.format: 'm3' is none of"),
        ("source: sample", "source: [{path: x, split: dev}]", "data.source: split 'dev' is none of train, validation"),
        ("source: sample", "source: [{path: x, labels: {a: 2}}]", "data.source: labels mean 0, 1 or null"),
        ("source: sample", "source: [{path: x, labels: {a: 1}, threshold: 2}]", "either labels or threshold, not both"),
        ("source: sample", "source: [{format: m2}]", "data.source: a source needs one of sample: true, path, hub"),
        ("source: sample", "source: [{path: x, hub: a/b}]", "data.source: a source needs one of sample: true, path"),
        ("source: sample", "source: ['ftp:x']", "data.source: 'ftp:x' is none of sample, hub:"),
        ("task_relations: {}", "task_relations: {a: b}", "data.task_relations.a: 'b' is neither correction nor"),
        ("tasks: []", "tasks: gec", "data.tasks: expected a list, found 'gec'"),
        ("peers: []", "peers: [errant]", "baseline.peers: 'errant' is none of harper"),
        ("splits: []", "splits: [train]", "llm.splits: ['train'] is neither [] nor [test]"),
        ("max_calls: 5000", "max_calls: 0", "llm.max_calls: must be above 0"),
        ("timeout: 60", "timeout:", "llm.timeout: expected float, found None"),
        ("retries: 10", "retries: -1", "llm.retries: must be 0 or more"),
        ("options: {}", "options:", "llm.options: expected a mapping, found None"),
        ("options: {}", "options: {a: .nan}", "llm.options.a: expected what JSON can hold, found nan"),
        ("options: {}", "options: {a: {b: [2026-01-01]}}", "llm.options.a: expected what JSON can hold, found {'b'"),
        ("options: {}", "options: {seed: 1}", "llm.options: seed can't be set here"),
        ("options: {}", "options: {extra_body: {stream: true}}", "llm.options: stream can't be set here"),
        ("options: {}", "options: {extra_headers: x}", "llm.options.extra_headers: must be a mapping"),
        ("options: {}", "options: {extra_headers: {x: 1}}", "llm.options.extra_headers: values must be text"),
        ("base_url: https:", "base_url: ftp:", "llm.base_url: must start with http:// or https://"),
        ("  kind:\n", "  kind: encoder\n", "model.kind: 'encoder' is none of cross_encoder, edit_head, or null"),
        ("share: 0.35", "share: 1.5", "pairs.augment.absurd.share: must be between 0 and 1"),
        ("unrelated: 2.0", "unrelated: -2.0", "pairs.augment.absurd.rates: rates must be 0 or more"),
        ("max_length: 512", "max_length: 4", "encode.max_length: must be 8 or more"),
        ("layer: 20", "layer: -1", "encode.layer: must be 0 or more"),
        ("following: 4", "following: 0", "encode.following: must be 1 or more"),
        ("hidden_size: 512", "hidden_size: 0", "edit_head.hidden_size: must be above 0"),
        ("state_dropout: 0.7", "state_dropout: 1.0", "edit_head.state_dropout: must be at least 0 and below 1"),
        ("weight_decay: 0.01", "weight_decay: -1.0", "edit_head.weight_decay: must be 0 or more"),
        ("best_model: average_precision", "best_model: luck", "edit_head.metric_for_best_model: 'luck' is none of"),
        ("  confidence:\n", "  confidence: 1.0\n", "decision.confidence: must be above 0 and below 1, or null"),
        ("  confidence:\n", "  confidence: high\n", "decision.confidence: expected float, found 'high'"),
        ("tries: 200", "tries: 0", "attack.tries: must be above 0"),
        ("rounds: 8", "rounds: 0", "attack.rounds: must be above 0"),
        ("  max_accepted:\n", "  max_accepted: 2\n", "attack.max_accepted: must be between 0 and 1, or null"),
        ("leakage: report", "leakage: drop", "pairs.leakage: 'drop' is none of report, drop_train, fail"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path, old, new, message):
    with pytest.raises(UserError) as caught:
        load_with(tmp_path, old, new)
    assert message in str(caught.value)
    assert "params.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_params(tmp_path / "params.yaml")


def test_dvc_rewrites_params_without_changing_other_lines(tmp_path):
    """`-S` rewrites the whole file in DVC's style; a run should change one line."""
    from dvc.utils.hydra import apply_overrides

    path = tmp_path / "params.yaml"
    path.write_text(PARAMS, encoding="utf-8")
    apply_overrides(path, ["train.learning_rate=5e-5"])
    before, after = PARAMS.splitlines(), path.read_text(encoding="utf-8").splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert load_params(path).train.learning_rate == 5e-5
