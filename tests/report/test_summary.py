"""What people read comes from the committed files."""

import re
from pathlib import Path

import pytest

from fluency.cli.commands import main
from fluency.evaluation.scored_pairs import figures
from fluency.params import load_params
from fluency.report.summary import filled, stage_table, summary
from fluency.utils.errors import UserError
from fluency.utils.files import write_json
from tests.evaluation.test_scored_pairs import scored


def test_the_summary_sets_the_model_beside_the_baseline_with_intervals(tmp_path):
    result = figures(scored(), load_params().evaluate)
    for name in ("test", "baseline"):
        write_json(tmp_path / f"{name}.json", result)
    table = summary(tmp_path).splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == ["**all**", "contrast", "hand-written"]
    point = result["operating_point"]
    assert f"{point['precision']:.3f} ({point['precision_low']:.3f}-{point['precision_high']:.3f})" in table[2]
    assert len({line.count("|") for line in table}) == 1


def test_the_summary_names_what_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"test\.json: no such file; `dvc repro` makes it"):
        summary(tmp_path)


def test_the_stage_table_is_the_pipelines():
    assert re.search(r"\| `train` +\| Fine-tune the base model", stage_table())


def test_readme_blocks_are_replaced_between_their_marks():
    text = "a\n<!-- results -->\nold\n<!-- /results -->\nb\n"
    assert filled(text, {"results": "new\n"}) == text.replace("old", "new")
    with pytest.raises(UserError, match="the marks <!-- stages -->"):
        filled(text, {"stages": ""})


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
