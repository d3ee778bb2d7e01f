"""An export is all that a hub and its users need, says what the pipeline's files say, and overwrites nothing else."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from transformers import AutoModelForSequenceClassification, pipeline

from fluency import FluencyScorer
from fluency.cli.commands import main
from fluency.evaluation.behaviour import checked_changes, checks
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.scored_pairs import ScoredPairs, figures
from fluency.scorer.export import export, export_one_logit
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, write_json
from tests.conftest import ROOT
from tests.evaluation.test_scored_pairs import pair
from tests.helpers.models import untrained

PAIRS = [("This are a test.", "This is a test."), ("She goes home.", "She go home.")]


@pytest.fixture(scope="module")
def finished(tiny_model, tmp_path_factory):
    """A repository whose pipeline has run, with an untrained model."""
    folder = tmp_path_factory.mktemp("finished")
    untrained(tiny_model, folder / "models")
    pairs = [pair(row, row % 2, f"It is {row} .", f"It be {row} .") for row in range(40)]
    scored = ScoredPairs(pairs, np.random.default_rng(0).random(40), 0.5)
    scores = dict.fromkeys(checked_changes(pairs), 0.7)
    write_json(
        folder / "metrics/test.json",
        figures(scored, EvaluateParams(resamples=100, seed=1)) | {"checks": checks(pairs, scores, 0.5)},
    )
    for name in ("data", "challenge"):
        shutil.copyfile(ROOT / f"metrics/{name}.json", folder / f"metrics/{name}.json")
    of_a_kind = {"edits": 200, "accepted": 3, "outside_support": 117}
    of_a_kind |= {"rate": 0.015, "rate_low": 0.0031, "rate_high": 0.0432}
    write_json(folder / "metrics/attack.json", {"left_open": of_a_kind})
    shutil.copyfile(ROOT / "CITATION.cff", folder / "CITATION.cff")
    source = {"corpus": "edits", "revision": "c0ffee", "ignored": [], "files": {"a": "1", "b": "2"}}
    write_json(
        folder / "data/raw/manifest.json",
        [{"source": "hub:owner/edits@v1", **source, "rows": 1234, "rejected": 5}],
    )
    write_json(
        folder / "models/base/manifest.json",
        {"source": "hub:owner/base", "revision": "f00d", "kind": "cross_encoder",
         "files": {"config.json": "1", "model.safetensors": "5afe"}},
    )  # fmt: skip
    return folder


@pytest.fixture
def repository(finished, tmp_path, monkeypatch):
    """One to spoil, as the working directory."""
    shutil.copytree(finished, tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path / "repository"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def card() -> str:
    return Path("exported/README.md").read_text(encoding="utf-8")


def edited(path: str, change) -> None:
    content = read_json(path)
    change(content)
    write_json(path, content)


def test_an_export_scores_as_the_model_does(repository):
    export(Path("exported"))
    expected = FluencyScorer.load("models/fluency", bf16=False).score_edits(PAIRS)
    scorer = FluencyScorer.load("exported", bf16=False)
    assert scorer.score_edits(PAIRS).tolist() == expected.tolist()

    # Plain transformers reads it too, and its logits become the same scores by the card's formula.
    assert AutoModelForSequenceClassification.from_pretrained("exported").config.id2label[1] == "fluent"
    classify = pipeline("text-classification", model="exported")
    for (before, after), score in zip(PAIRS, expected, strict=True):
        pair = {"text": before, "text_pair": after}
        assert classify(pair)["label"] in ("fluent", "non-fluent")
        logits = {item["label"]: item["score"] for item in classify(pair, top_k=None, function_to_apply="none")}
        margin = (logits["fluent"] - logits["non-fluent"]) * scorer.calibration.slope
        assert 1 / (1 + np.exp(-margin)) == pytest.approx(score, abs=1e-6)


def test_one_logits_sigmoid_is_the_calibrated_score(repository):
    """Servers that score pairs take models of one label, and answer with its sigmoid."""
    edited("models/calibration.json", lambda its: its.update(slope=1.7, intercept=-0.3))
    export_one_logit(Path("served"))
    classify = pipeline("text-classification", model="served")
    found = [classify({"text": before, "text_pair": after}) for before, after in PAIRS]
    assert {its["label"] for its in found} == {"fluent"}
    expected = FluencyScorer.load("models/fluency", bf16=False).score_edits(PAIRS)
    assert [its["score"] for its in found] == pytest.approx(expected, abs=1e-6)
    assert AutoModelForSequenceClassification.from_pretrained("served").config.num_labels == 1
    with pytest.raises(UserError, match="served: is there already; name a new folder"):
        export_one_logit(Path("served"))
    with pytest.raises(UserError, match=r"no calibration\.json"):
        FluencyScorer.load("served")


def test_the_cards_examples_run(repository):
    export(Path("exported"))
    examples = re.findall(r"```python\n(.*?)```", card(), flags=re.DOTALL)
    assert len(examples) == 2
    found: dict = {}
    exec("\n".join(examples).replace("OWNER/NAME", "exported"), found)  # noqa: S102
    assert found["score"] == pytest.approx(found["scorer"].score(*PAIRS[1]), abs=2e-2)  # in bfloat16, maybe
    assert found["accepted"] == (found["score"] >= found["scorer"].calibration.threshold)


def test_the_card_says_what_the_files_say(repository):
    export(Path("exported"))
    test, text = read_json("metrics/test.json"), re.sub(" +", " ", card())
    for tree in (test, test["operating_point"]):
        assert f" {tree['recall']:.3f} ({tree['recall_low']:.3f}-{tree['recall_high']:.3f}) |" in text
    assert f"| contrast | 40 | {test['parts']['contrast']['operating_point']['precision']:.3f} (" in text
    assert "| `hub:owner/edits@v1` | c0ffee | 2 | 1234 | 5 |" in text
    assert "Base model: `hub:owner/base` at `f00d`, whose weights have the SHA-256\n`5afe`." in text
    assert f"| train | {read_json('metrics/data.json')['splits']['train']['pairs']} |" in text
    assert "| left open | 200 | 117 | 1.5% (0.3%-4.3%) |" in text
    assert "timonziegenbein/fluency-agumented-edits" in text
    assert "no benchmark" not in text

    edited("metrics/test.json", lambda its: its["operating_point"].update(recall=0.123456))
    edited("data/raw/manifest.json", lambda its: its[0].update(source="sample", corpus="sample"))
    export(Path("exported"))
    assert " 0.123 (" in card()
    assert "no benchmark" in card()


def test_a_hub_can_read_the_card(repository):
    export(Path("exported"))
    data = ModelCard.load(Path("exported/README.md")).data
    assert (data.language, data.license, data.pipeline_tag) == ("en", "mit", "text-classification")
    assert (data.base_model, data.datasets) == ("owner/base", ["owner/edits"])
    results = {result.metric_type: result.metric_value for result in data.eval_results}
    test = read_json("metrics/test.json")
    assert results["precision"] == test["operating_point"]["precision"]
    assert results["roc_auc"] == test["roc_auc"]


def test_the_card_keeps_the_folders_of_this_machine_to_itself(repository):
    edited("data/raw/manifest.json", lambda its: its[0].update(source="path:/home/me/edits"))
    edited("models/base/manifest.json", lambda its: its.update(source="path:/home/me/base", revision=None))
    export(Path("exported"))
    assert "local files (edits)" in card()
    assert "/home" not in card()


def test_the_same_inputs_give_the_same_bytes_and_replace_an_earlier_export(repository):
    export(Path("exported"))
    first = contents(Path("exported"))
    assert first.keys() == {*read_json("models/calibration.json")["files"], "calibration.json", "README.md"}
    edited("exported/calibration.json", lambda its: its["files"].update({"vocab.txt": "of another model"}))
    Path("exported/vocab.txt").touch()
    export(Path("exported"))
    assert contents(Path("exported")) == first


@pytest.mark.parametrize("name", ["thesis.tex", ".git/HEAD"])
def test_a_folder_with_other_things_is_left_alone(repository, name):
    for folder in ("exported", "new"):
        Path(folder).mkdir()
    export(Path("exported"))
    for folder in (Path("exported"), Path("new")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
        before = contents(folder)
        with pytest.raises(UserError, match=rf"{folder}: has {name.split('/')[0]}, which is of no export"):
            export(folder)
        assert contents(folder) == before
    with pytest.raises(UserError, match="is a file; name a folder"):
        export(Path("CITATION.cff"))


def other_weights():
    Path("models/fluency/model.safetensors").write_bytes(b"other")


def other_figures():
    edited("metrics/test.json", lambda its: its["operating_point"].update(threshold=0.9))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_weights, r"models/fluency/model\.safetensors: not the file that was calibrated"),
        (other_figures, r"metrics/test\.json: of another model; its threshold is 0\.9, calibration's 0\.5"),
        (Path("metrics/test.json").unlink, r"metrics/test\.json: no such file; `dvc pull` fetches it, `dvc repro`"),
        (Path("data/raw/manifest.json").unlink, r"data/raw/manifest\.json: no such file"),
        (lambda: shutil.rmtree("models"), r"models/fluency: no calibration\.json in it or beside it; `dvc repro`"),
    ],
)
def test_what_is_not_of_one_run_is_not_exported(repository, spoil, message):
    spoil()
    with pytest.raises(UserError, match=message):
        export(Path("exported"))
    assert not [path for path in repository.iterdir() if "exported" in path.name]


def test_the_command_has_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "example: python -m fluency export exported" in capsys.readouterr().out
