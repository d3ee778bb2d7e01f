"""Other projects can install the scorer, and get with it what it imports."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fluency import FluencyScorer
from fluency.scorer.artifact import locate
from fluency.utils.caches import cache_folder
from fluency.utils.errors import UserError
from tests.conftest import ROOT
from tests.helpers.imports import imported_files
from tests.helpers.models import untrained

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]
PINS = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE))
COMES_WITH = {"dvc-data": "dvc", "hydra-core": "dvc"}
OWNERS = packages_distributions()


def distributions_of(module: Path, *, lazy: bool) -> set[str]:
    """What a module imports of other projects, at its start or (lazy) inside functions too."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if lazy else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    found -= {"fluency", "stages", *sys.stdlib_module_names}
    names = {canonicalize_name(owner) for name in found for owner in OWNERS.get(name, [name])}
    return {COMES_WITH.get(name, name) for name in names}


@pytest.mark.parametrize(
    "start", ["fluency/scorer/scorer.py", "fluency/scorer/reward.py", "fluency/scorer/batch_map.py"]
)
def test_what_the_scorer_starts_with_is_a_dependency(start):
    needed = set().union(*(distributions_of(path, lazy=False) for path in imported_files(Path(start), lazy=False)))
    assert "rapidfuzz" in needed
    assert needed <= {requirement.name for requirement in DEPENDENCIES} <= PINS.keys()


@pytest.mark.parametrize("module", sorted(Path("fluency").rglob("*.py")), ids=str)
def test_every_import_is_a_dependency_or_in_an_extra(module):
    declared = {requirement.name for requirement in DEPENDENCIES + EXTRAS}
    assert distributions_of(module, lazy=True) <= declared


@pytest.mark.parametrize("requirement", [its for its in DEPENDENCIES + EXTRAS if its.name in PINS], ids=str)
def test_the_versions_tested_are_among_those_allowed(requirement):
    assert requirement.specifier.contains(PINS[requirement.name])


def test_a_repository_without_dvc_is_told_in_a_line(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "dvc.exceptions", None)
    with pytest.raises(UserError, match="pip install dvc"):
        locate("https://localhost/project.git", "v1")
    assert not cache_folder().exists()


def test_an_installed_wheel_scores_in_another_folder(tiny_model, tmp_path):
    source, installed, elsewhere = (tmp_path / name for name in ("source", "installed", "elsewhere"))
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    shutil.copytree(ROOT / "fluency", source / "fluency", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("fluency_edits-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [path for path in (ROOT / "fluency").rglob("*.*") if path.suffix != ".pyc"]
    assert packed == {path.relative_to(ROOT).as_posix() for path in files}
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", installed, wheel], check=True)

    models = untrained(tiny_model, tmp_path / "models")
    (models / "calibration.json").rename(models / "fluency/calibration.json")  # as exported
    (models / "fluency").rename(tmp_path / "exported")
    elsewhere.mkdir()
    code = (
        "import fluency; print(fluency.__file__, fluency.FluencyScorer.load('../exported', bf16=False).score('a', 'b'))"
    )
    environment = os.environ | {"PYTHONPATH": str(installed)}
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=elsewhere, env=environment, capture_output=True, text=True, check=True
    ).stdout
    path, score = printed.split()
    assert Path(path) == installed / "fluency/__init__.py"
    assert float(score) == pytest.approx(FluencyScorer.load(tmp_path / "exported", bf16=False).score("a", "b"))
    command = subprocess.run(
        [installed / "bin/fluency", "export", "x"], cwd=elsewhere, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert command.returncode == 1
    assert command.stderr.startswith("error: models/fluency: no calibration.json in it")
