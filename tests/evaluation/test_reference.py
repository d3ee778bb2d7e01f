"""A run's stored logits and labels give its published figures."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from fluency.cli.commands import main
from fluency.evaluation import predictions
from fluency.utils.files import read_json, write_json


@pytest.fixture
def run(tmp_path):
    """A results folder as the reference writes it."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(100, 2)).astype(np.float32), rng.integers(0, 2, 100)
    predictions.write_reference(tmp_path, logits, labels)
    return tmp_path


def test_results_are_those_of_the_logits_by_scikit_learn_and_by_hand(run):
    logits, labels = np.loadtxt(run / "predictions.txt"), np.loadtxt(run / "labels.txt", dtype=int)
    results = read_json(run / "results.json")
    assert set(results) == {"test_loss", "test_accuracy", "test_precision", "test_recall", "test_f1"}
    said = logits.argmax(axis=1)
    precision, recall = np.mean(labels[said == 1]), np.mean(said[labels == 1])
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert results == pytest.approx(
        {
            "test_accuracy": np.mean(said == labels),
            "test_precision": precision,
            "test_recall": recall,
            "test_f1": 2 * precision * recall / (precision + recall),
            "test_loss": log_loss(labels, softmax),
        },
        abs=1e-6,
    )


def test_a_published_run_is_verified_and_a_changed_one_is_not(run, capsys):
    main(["verify", str(run)])
    assert "test_precision" in capsys.readouterr().out
    write_json(run / "results.json", read_json(run / "results.json") | {"test_recall": 0.9})
    with pytest.raises(SystemExit, match=r"error: .*test_recall is off by 0\.\d+; logits and labels give 0\.\d+"):
        main(["verify", str(run)])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("predictions.txt", "1 x\n", "not a table of numbers"),
        ("predictions.txt", "1 2\n1 nan\n", r"predictions\.txt: line 2: no finite number; the run went wrong there"),
        ("predictions.txt", "1 2 3\n", "needs two logits a row"),
        ("labels.txt", "0\n", "needs two logits a row"),
        ("labels.txt", None, "labels.txt: no such file"),
    ],
)
def test_what_is_no_run_is_refused(run, name, text, message):
    if text is None:
        (run / name).unlink()
    else:
        (run / name).write_text(text)
    with pytest.raises(SystemExit, match=message):
        main(["verify", str(run)])
