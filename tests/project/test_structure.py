"""The pipeline file, the imports and the documents keep their promises."""

import ast
import dataclasses
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
import yaml
from transformers import TrainingArguments

import fluency
from fluency.corpus.formats import TABLES
from fluency.evaluation.certificate import groups_needed
from fluency.metrics import points
from fluency.pairs.corruption import RULES
from fluency.pairs.distortion import DISTORTIONS
from fluency.params import load_params
from fluency.report.summary import filled_pages
from fluency.training.launch import ONE_MACHINE
from tests.helpers.imports import imported_files, imports_of

STAGES = {
    name: stage.get("do", stage)  # of each split, where there are several
    for pipeline in ("dvc.yaml", "stages/llm_judge/dvc.yaml")
    for name, stage in yaml.safe_load(Path(pipeline).read_text(encoding="utf-8"))["stages"].items()
}
# A package may import those behind it, never those before it.
ORDER = (
    *("cli", "labelling", "scorer", "report", "llm_judge", "baselines", "training", "evaluation", "model", "pairs"),
    *("corpus", "sources", "edits", "metrics", "utils"),
)
MODULES = sorted(path for path in Path("fluency").rglob("*.py") if path.name != "__init__.py")


def module(stage: str) -> Path:
    """The module that a stage runs."""
    path = Path(*STAGES[stage]["cmd"].split()[-1].split("."))
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


def code_deps(stage: str) -> list[Path]:
    """The code among a stage's `deps`: files and packages."""
    return [Path(dep) for dep in STAGES[stage]["deps"] if dep.startswith(("fluency", "stages"))]


def package_of(path: Path) -> str:
    """The package of a module of fluency/, or the module itself where it is in none."""
    return path.relative_to("fluency").parts[0].removesuffix(".py")


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_imports_is_among_its_deps(stage):
    """Else DVC would serve results of older code. What is listed and not imported would rerun it for nothing."""
    needed, deps = imported_files(module(stage)), code_deps(stage)
    missing = [path for path in needed if not any(path.is_relative_to(dep) for dep in deps)]
    unused = [dep for dep in deps if not any(path.is_relative_to(dep) for path in needed)]
    assert (missing, unused) == ([], [])


def test_training_depends_on_exactly_what_it_imports():
    """A training is dear: no edit elsewhere may start it again, or orphan the checkpoints of one that was cut off."""
    listed = {file for dep in code_deps("train") for file in ([dep] if dep.is_file() else dep.rglob("*.py"))}
    assert {path for path in listed if path.name != "__init__.py"} == imported_files(module("train"))
    assert ONE_MACHINE in STAGES["train"]["deps"]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_go_one_way_between_packages(path):
    package = package_of(path)
    if package in ("__main__", "params"):  # one starts everything, the other checks all of params.yaml
        return
    allowed = ORDER[ORDER.index(package) :] + (("params",) if package == "cli" else ())
    assert {package_of(imported) for imported in imports_of(path)} <= {*allowed}


def test_the_tour_shows_the_packages_in_their_order():
    page = Path("CONTRIBUTING.md").read_text(encoding="utf-8").partition("## A tour of the house")[2]
    tour = page.partition("| --- | --- | --- |\n")[2].partition("\n\n")[0]
    told = [re.match(r"\| `(\w+)", row)[1] for row in tour.splitlines()]
    assert told == [*reversed(ORDER)]
    there = {path.stem for path in Path("fluency").iterdir() if path.is_dir() or path.suffix == ".py"}
    assert there - {"__init__", "__main__", "__pycache__", "params"} == {*ORDER}


def test_no_modules_import_each_other_in_a_circle():
    graph = {path: set(imports_of(path, lazy=False)) for path in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_packages_hold_no_code_of_their_own():
    """It would be run by whoever imports anything beside it, and no stage lists it."""
    for path in (*Path("fluency").glob("*/__init__.py"), *Path("stages").rglob("__init__.py")):
        (only,) = ast.parse(path.read_text(encoding="utf-8")).body
        assert isinstance(only, ast.Expr), path


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_described(stage):
    assert STAGES[stage]["desc"]


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


def test_a_command_starts_without_the_libraries_of_stages():
    """Each takes seconds, and a command that needs one imports it itself."""
    code = "import fluency.cli.commands, sys; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout.decode().split())
    assert not loaded & {"sklearn", "scipy", "pandas", "transformers", "datasets", "huggingface_hub", "matplotlib"}


@pytest.mark.parametrize("module", ["stages.evaluate", "stages.train", "fluency.cli.commands", "fluency"])
def test_threads_that_wait_leave_the_cores_to_others(module):
    code = f"import {module}, torch"
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment | {"OMP_DISPLAY_ENV": "VERBOSE"}, capture_output=True, check=True
    )
    if b"GOMP" not in done.stderr:
        pytest.skip("this build of torch has another OpenMP")
    assert b"GOMP_SPINCOUNT = '0'" in done.stderr


def test_every_section_of_params_reruns_a_stage():
    watched = {name.partition(".")[0] for stage in STAGES.values() for name in stage["params"]}
    assert watched == set(vars(load_params()))


def test_the_table_of_experiments_shows_params_of_every_section():
    others = re.search(r"^OTHERS := .*?params\|\((.*?)\)", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(others[1].split("|")) == set(vars(load_params()))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_watches_the_params_that_it_reads(stage):
    """Else DVC would serve results of other params, or compute them again for nothing."""
    code = module(stage).read_text(encoding="utf-8")
    read = set(re.findall(r'read_params\("(\w+)"', code))
    assert read == {name.partition(".")[0] for name in STAGES[stage]["params"]}, f"`params` of {stage} in dvc.yaml"


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
    augment = load_params().pairs.augment
    assert augment.rates.keys() == RULES.keys(), "pairs.augment.rates in params.yaml"
    assert augment.absurd.rates.keys() == DISTORTIONS.keys(), "pairs.augment.absurd.rates in params.yaml"


def test_every_figure_is_explained():
    page = Path("docs/evaluation.md").read_text(encoding="utf-8")
    for name in points(np.array([0.5]), np.array([1]), np.array([True])):
        assert f"`{name.partition('.')[0]}`" in page, f"{name}: docs/evaluation.md does not tell what it is"


def test_the_reference_tells_of_every_public_name():
    page = Path("docs/api.md").read_text(encoding="utf-8")
    told = re.findall(r"^::: ([\w.]+)\.(\w+)$", page, re.MULTILINE)
    assert {name: module for module, name in told}.items() >= fluency._PUBLIC.items()


def test_the_groups_that_a_certificate_needs_are_those_told():
    page = Path("docs/evaluation.md").read_text(encoding="utf-8")
    table = page.partition("| certified precision | accepted groups needed |\n| --- | ---: |\n")[2].partition("\n\n")[0]
    told = {float(target): int(groups) for target, groups in re.findall(r"^\| (\S+) \| (\d+) \|$", table, re.MULTILINE)}
    assert told == {target: groups_needed(target, 0.95) for target in (0.9, 0.95, 0.99)}


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
            assert read or (name in ("train", "edit_head") and key in recipe), (
                f"{name}.{key} is in params.yaml, and nothing reads it"
            )


def test_pages_show_the_committed_results_and_stages():
    """`python -m fluency readme` writes them."""
    for page, text in filled_pages().items():
        assert page.read_text(encoding="utf-8") == text, page


def test_files_have_the_same_bytes_in_every_checkout():
    """Git may be set to end lines as Windows does; DVC would take the sample for another."""
    files = ["dvc.lock", "data/sample/challenge/absurd.txt", "fluency/metrics.py"]
    told = subprocess.run(["git", "check-attr", "eol", "--", *files], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [f"{file}: eol: lf" for file in files]
