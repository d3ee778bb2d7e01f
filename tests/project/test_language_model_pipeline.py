"""The whole pipeline with a language model as the base model, as the default has it."""

import json

from fluency import FluencyScorer
from tests.helpers.language_models import fetched


def test_a_language_model_becomes_an_edit_head_with_figures_beside_both_baselines(new_project, tmp_path):
    base = fetched(tmp_path / "base")
    (base / "manifest.json").unlink()
    project = new_project(
        {"model.source": f"path:{base}", "encode.layer": "2", "encode.max_length": "128", "edit_head.hidden_size": "8",
         "edit_head.num_train_epochs": "1"}
    )  # fmt: skip
    project.run("dvc repro")
    figures = {
        name: json.loads((project.folder / f"metrics/{name}.json").read_text(encoding="utf-8"))
        for name in ("test", "baseline", "challenge")
    }
    assert list(figures["baseline"]) == ["words_alone", "language_model"]
    assert figures["baseline"]["language_model"]["parts"].keys() == figures["test"]["parts"].keys()
    printed = project.run("python -m fluency summary")
    assert "language model" in printed
    assert f"{figures['challenge']['mistake']['edits']} " in printed
    page = (project.folder / "results/report.html").read_text(encoding="utf-8")
    assert "absurd edits, to be refused" in page
    assert ">language model</th>" in page
    project.run("python -m fluency export ../exported")
    card = (project.folder / "../exported/README.md").read_text(encoding="utf-8")
    assert "transformers alone does not load this folder" in card
    scores = [scorer.score("She goes home.", "She go home.") for scorer in (
        FluencyScorer.load(project.folder), FluencyScorer.load(project.folder / "../exported")
    )]  # fmt: skip
    assert scores[0] == scores[1]
    assert "up to date" in project.run("dvc status")
