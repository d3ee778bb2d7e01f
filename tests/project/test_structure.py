"""The pipeline file, the imports and the documents keep their promises."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from transformers import TrainingArguments

from fluency.corpus.formats import TABLES
from fluency.metrics import points
from fluency.pairs.corruption import RULES
from fluency.params import load_params
from fluency.report.summary import filled, readme_blocks
from tests.helpers.imports import imported_files

STAGES = {
    name: stage.get("do", stage)  # of each split, where there are several
    for pipeline in ("dvc.yaml", "stages/llm_judge/dvc.yaml")
    for name, stage in yaml.safe_load(Path(pipeline).read_text(encoding="utf-8"))["stages"].items()
}


def module(stage: str) -> Path:
    """The module that a stage runs."""
    path = Path(*STAGES[stage]["cmd"].split()[-1].split("."))
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_module_it_imports(stage):
    """Else DVC would serve results of older code."""
    needed = {path.as_posix() for path in imported_files(module(stage))}
    code = {dep for dep in STAGES[stage]["deps"] if dep.startswith(("fluency/", "stages/"))}
    assert code == needed


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_described_and_short(stage):
    assert STAGES[stage]["desc"]
    lines = module(stage).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 50


@pytest.mark.parametrize(
    "module",
    [
        *("stages.fetch_data", "stages.fetch_model", "stages.build_pairs", "stages.baseline"),
        *("stages.llm_judge.__main__", "stages.llm_judge.compare", "fluency", "fluency.cli.commands"),
    ],
)
def test_torch_is_not_imported_where_it_is_not_needed(module):
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("path", sorted(Path("fluency").rglob("*.py")), ids=str)
def test_a_file_is_a_room(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 280, f"{path} has {lines} lines; divide it by what it does (CONTRIBUTING.md: Where things live)"


def test_every_section_of_params_reruns_a_stage():
    watched = {name.partition(".")[0] for stage in STAGES.values() for name in stage["params"]}
    assert watched == set(vars(load_params()))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_watches_the_params_that_it_reads(stage):
    """Else DVC would serve results of other params, or compute them again for nothing."""
    code = module(stage).read_text(encoding="utf-8")
    read = re.findall(r"load_params\(\)\.(\w+)", code) or re.findall(r"\bparams\.(\w+(?:\.\w+)?)", code)
    watched = set(STAGES[stage]["params"])
    needed = {name if name in watched else name.partition(".")[0] for name in read}  # or else its whole block
    assert needed == watched, f"`params` of {stage} in dvc.yaml"


def test_a_format_is_named_wherever_it_is_chosen():
    formats = {name for name, *_ in TABLES} | {"m2"}
    comment = re.search(r"# (.*); null tells it by the columns", Path("params.yaml").read_text(encoding="utf-8"))
    assert set(comment[1].split(" | ")) == formats, "the comment on data.format in params.yaml"
    page = Path("docs/data.md").read_text(encoding="utf-8").partition("## Formats")[2].partition("## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == formats, "the table of formats in docs/data.md"
    for name in formats:
        dataclasses.replace(load_params().data, format=name)


def test_every_rule_has_a_rate():
    """Also 0: `-S` changes only what is there."""
    assert load_params().pairs.augment.rates.keys() == RULES.keys(), "pairs.augment.rates in params.yaml"


def test_every_figure_is_explained():
    page = Path("docs/evaluation.md").read_text(encoding="utf-8")
    for name in points(np.array([0.5]), np.array([1]), np.array([True])):
        assert f"`{name.partition('.')[0]}`" in page, f"{name}: docs/evaluation.md does not tell what it is"


def test_params_hold_no_key_that_is_never_read():
    """A key is read by its name, or goes to TrainingArguments under it."""
    readers = [
        path for path in [*Path("fluency").rglob("*.py"), *Path("stages").rglob("*.py")] if path.name != "params.py"
    ]
    code = "".join(path.read_text(encoding="utf-8") for path in readers)
    recipe = {field.name for field in dataclasses.fields(TrainingArguments)}
    for name, section in vars(load_params()).items():
        for key in vars(section):
            read = re.search(rf"\.{key}\b", code)
            assert read or (name == "train" and key in recipe), f"{name}.{key} is in params.yaml, and nothing reads it"


def test_readme_shows_the_committed_results_and_stages():
    """`python -m fluency readme` writes them."""
    text = Path("README.md").read_text(encoding="utf-8")
    assert filled(text, readme_blocks()) == text
