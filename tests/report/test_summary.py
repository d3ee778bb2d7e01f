"""What people read comes from the committed files."""

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from fluency.cli.commands import main
from fluency.corpus.challenge import ROLES, Challenge
from fluency.evaluation.certificate import Certificate
from fluency.evaluation.challenge import challenge_figures
from fluency.evaluation.scored_pairs import at_thresholds, figures
from fluency.params import load_params
from fluency.report.summary import CHALLENGE, filled, judges_table, results_table, stage_table, summary
from fluency.utils.errors import UserError
from fluency.utils.files import write_json
from tests.evaluation.test_scored_pairs import scored


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_the_summary_sets_the_model_beside_the_baselines_with_intervals(tmp_path):
    result = figures(scored(), load_params().evaluate)
    weaker = result | {"average_precision": 0.125}
    late = ["", " now" * 5, "", ""]  # a role need not have edits of each length
    edits = [Challenge((f"She go{its}.", f"She goes{its}."), role, "be") for role, its in zip(ROLES, late, strict=True)]
    challenge = challenge_figures(edits, np.array([True, False, True, False]))
    write_json(tmp_path / "test.json", result | {"certified": at_thresholds(scored(), {0.9: 0.75})})
    certificate = asdict(Certificate("precision", None, 0.95, 0.9, 300))
    write_json(tmp_path / "validation.json", {"operating_point": {"threshold": 0.75, "certificate": certificate}})
    write_json(tmp_path / "baseline.json", {"words_alone": result, "language_model": weaker})
    write_json(tmp_path / "challenge.json", challenge)
    assert cells(judges_table(tmp_path).splitlines()[0])[0] == "40 test pairs, 50% fluent"
    table, (line,), certified, wrong = (block.splitlines() for block in summary(tmp_path).split("\n\n"))
    assert table == results_table(tmp_path).splitlines()
    assert [cells(line)[0] for line in table[2:]] == ["**all**", "contrast", "hand-written"]
    assert cells(table[0])[-3:] == ["average precision", "words alone", "language model"]
    assert cells(table[2])[1:3] == ["40", "50%"]
    certain = "precision at least 0.9 with 95 % confidence, on text like validation"
    assert line == f"Operating point: scores from 0.750; {certain}."
    assert [cells(row)[:2] for row in certified[2:]] == [
        ["precision at least 0.9", "0.750"], ["precision at least 0.92", "none"], ["precision at least 0.95", "none"],
    ]  # fmt: skip
    assert cells(table[2])[-3:] == [f"{result['average_precision']:.3f}"] * 2 + ["0.125"]
    point = result["operating_point"]
    assert f"{point['precision']:.3f} ({point['precision_low']:.3f}-{point['precision_high']:.3f})" in table[2]
    assert {cells(line)[0]: cells(line)[1:3] for line in wrong[2:]} == {
        CHALLENGE[role]: ["1", "100.0% (5.0%-100.0%)" if role in ("absurd", "keeping") else "0.0% (0.0%-95.0%)"]
        for role in ROLES
    }
    for lines in (table, wrong):
        assert len({line.count("|") for line in lines}) == 1
    write_json(tmp_path / "validation.json", {"operating_point": {}})
    with pytest.raises(UserError, match=r"is of an older version, without 'certificate'; run `dvc repro`"):
        summary(tmp_path)


@pytest.mark.parametrize(
    ("positives", "shown"), [(0, ["-", "-", "-"]), (9, ["-", "0.250", "-"]), (4, ["0.500", "0.250", "0.750"])]
)
def test_a_part_of_one_label_shows_no_figure_that_says_nothing(tmp_path, positives, shown):
    point = {"precision": 0.5, "recall": 0.25}
    part = {"examples": 9, "positives": positives, "operating_point": point, "average_precision": 0.75}
    write_json(tmp_path / "test.json", part | {"parts": {"absurd": part}})
    write_json(tmp_path / "baseline.json", {})
    assert cells(results_table(tmp_path).splitlines()[3])[3:] == shown


def test_the_summary_names_what_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"test\.json: no such file; `dvc pull` fetches it, `dvc repro` makes it"):
        summary(tmp_path)


def test_the_stage_table_is_the_pipelines():
    assert re.search(r"\| `train` +\| Train the classifier on the encoded pairs", stage_table())


def test_readme_blocks_are_replaced_between_their_marks():
    text = "a\n<!-- results -->\nold\n<!-- /results -->\nb\n"
    assert filled(text, {"results": "new\n"}) == text.replace("old", "new")
    with pytest.raises(UserError, match="lacks the marks <!-- stages -->"):
        filled(text, {"stages": ""})


def test_the_command_line_checks_and_prints(capsys, monkeypatch, tmp_path):
    main(["check"])
    main(["summary"])
    assert "**all**" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["check"])
    assert str(ended.value).startswith("error: params.yaml: no such file")


@pytest.mark.parametrize(
    ("page", "shown"),
    [("README.md", "**this model**"), ("docs/evaluation.md", "**all**"), ("docs/how_it_works.md", "`train`  ")],
)
def test_pages_are_written_from_the_committed_files(monkeypatch, tmp_path, page, shown):
    metrics = (f"metrics/{name}.json" for name in ("test", "validation", "baseline", "challenge"))
    for name in ("dvc.yaml", "README.md", "docs/evaluation.md", "docs/how_it_works.md", *metrics):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(Path(name).read_bytes())
    text = (tmp_path / page).read_text(encoding="utf-8")
    assert shown in text
    (tmp_path / page).write_text(text.replace(shown, "old"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    main(["readme"])
    assert shown in (tmp_path / page).read_text(encoding="utf-8")


def test_figures_of_different_data_are_not_put_side_by_side(tmp_path):
    write_json(tmp_path / "test.json", {"parts": {"one": {}}})
    write_json(tmp_path / "baseline.json", {"words_alone": {"parts": {"one": {}}}, "other": {"parts": {"other": {}}}})
    with pytest.raises(UserError, match="are of different data; run"):
        summary(tmp_path)
