"""What people read comes from the committed files, and a file is written whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest

from fluency.__main__ import main
from fluency.calibration import Calibration
from fluency.errors import UserError
from fluency.evaluation import reference_results, scored, write_results
from fluency.files import read_json, read_parquet, write_json, write_text, written_aside
from fluency.params import load_params
from fluency.report import filled, stage_table, summary, write_plots

RNG = np.random.default_rng(0)
ROWS = [
    {"id": str(row), "group": str(row // 2), "label": row % 2, "part": "contrast" if row < 60 else "hand-written"}
    for row in range(100)
]
LOGITS = RNG.normal(size=(100, 2)).astype(np.float32) + np.array([[row["label"] * -1.0, row["label"]] for row in ROWS])
CALIBRATION = Calibration(1.5, 0.6, {"threshold": [0.6], "precision": [0.9], "recall": [0.5]})


def test_the_summary_sets_the_model_beside_the_baseline(tmp_path):
    figures = scored(LOGITS, ROWS, CALIBRATION, load_params().evaluate)
    for name in ("test", "baseline"):
        write_json(tmp_path / f"{name}.json", figures)
    table = summary(tmp_path).splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == ["**all**", "contrast", "hand-written"]
    assert f"{figures['operating_point']['precision']:.3f}" in table[2]
    assert len({line.count("|") for line in table}) == 1


def test_the_summary_names_what_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"test\.json: no such file; `dvc repro` makes it"):
        summary(tmp_path)


def test_the_stage_table_is_the_pipelines():
    assert "| `train` | Fine-tune the base model" in stage_table()


def test_readme_blocks_are_replaced_between_their_marks():
    text = "a\n<!-- results -->\nold\n<!-- /results -->\nb\n"
    assert filled(text, {"results": "new\n"}) == text.replace("old", "new")
    with pytest.raises(UserError, match="the marks <!-- stages -->"):
        filled(text, {"stages": ""})


def test_plots_are_written_and_the_same_each_time(tmp_path):
    for folder in ("one", "two"):
        write_plots(tmp_path / folder, LOGITS, ROWS, CALIBRATION)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {"precision_recall.csv", "precision_recall.png", "reliability.csv", "confusion.csv"}
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (tmp_path / "one/confusion.csv").read_text().count("\n") == 101


def test_results_are_the_references_files(tmp_path):
    write_results(tmp_path / "results", LOGITS, ROWS, CALIBRATION)
    assert np.loadtxt(tmp_path / "results/predictions.txt") == pytest.approx(LOGITS, rel=1e-6)
    results = read_json(tmp_path / "results/results.json")
    assert set(results) == {"test_loss", "test_accuracy", "test_precision", "test_recall", "test_f1"}
    assert results["test_accuracy"] == np.mean(LOGITS.argmax(axis=1) == [row["label"] for row in ROWS])
    assert [row["id"] for row in read_parquet(tmp_path / "results/predictions.parquet")] == [row["id"] for row in ROWS]


def test_the_reference_loss_is_cross_entropy():
    logits = np.array([[0.0, 0.0], [0.0, 2.0]])
    expected = (np.log(2) + np.log1p(np.exp(-2.0))) / 2
    assert reference_results(logits, np.array([0, 1]))["test_loss"] == pytest.approx(expected)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"kept": 1})
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(path, {"a": float("nan")})

    def fail_halfway():
        with written_aside(tmp_path / "folder") as aside:
            aside.mkdir()
            write_text(aside / "half", "x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert json.loads(path.read_text()) == {"kept": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "x").write_text("{")
    with pytest.raises(UserError, match="x: not JSON"):
        read_json(tmp_path / "x")
    with pytest.raises(UserError, match="x: not a readable Parquet file"):
        read_parquet(tmp_path / "x")
    with pytest.raises(UserError, match="y: no such file"):
        read_parquet(tmp_path / "y")


def test_the_command_line_checks_and_prints(capsys, monkeypatch, tmp_path):
    main(["check"])
    main(["summary"])
    assert "**all**" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["check"])
    assert str(ended.value).startswith("error: params.yaml: no such file")


def test_readme_is_written_from_the_committed_files(monkeypatch, tmp_path):
    for name in ("dvc.yaml", "README.md", "metrics/test.json", "metrics/baseline.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(Path(name).read_bytes())
    readme = tmp_path / "README.md"
    readme.write_text(readme.read_text().replace("**all**", "**old**"))
    monkeypatch.chdir(tmp_path)
    main(["readme"])
    assert "**all**" in readme.read_text()


def test_figures_of_different_data_are_not_put_side_by_side(tmp_path):
    for name, part in (("test", "one"), ("baseline", "other")):
        write_json(tmp_path / f"{name}.json", {"parts": {part: {}}})
    with pytest.raises(UserError, match="are of different data; run"):
        summary(tmp_path)
