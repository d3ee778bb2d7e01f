"""What the documents say is so: names, links, figures, and what commands need that a reader may not have."""

import json
import re
from pathlib import Path

import pytest
import yaml

from fluency.cli.commands import main
from tests.helpers.documents import NEEDS, PAGES, blocks, commands


def text_of(page):
    """The page without line breaks, which may stand anywhere."""
    return " ".join(page.read_text(encoding="utf-8").split())


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_is_not_run_says_what_it_needs(page):
    for block in blocks(page):
        assert block.language in ("sh", "python", "json", "text"), f"line {block.line}: ```{block.language}"
        for command in commands(block) if block.language == "sh" else ():
            known = command.needs is None or any(need in command.needs for need in NEEDS)
            assert known, f"line {command.line}: needs {command.needs}, which is none of {NEEDS}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_names_in_the_text_exist(page, capsys):
    """Params, modules and what is in them, targets of make, commands."""
    text = text_of(page)
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    for name in re.findall(r"(?:`|-S '?)([a-z][\w/]*\.\w[\w.]*)", text):
        first, *rest = name.split(".")
        module = Path("" if first.startswith(("docs/", "tests/", "stages/")) else "fluency", first).with_suffix(".py")
        if rest == ["py"]:
            assert module.is_file(), name
        elif first in params:
            assert has(params, [first, *rest]), f"{name} is no param"
        elif module.is_file():
            assert rest[0] in module.read_text(encoding="utf-8"), f"{module} has no {rest[0]}"
    targets = re.findall(r"^([\w-]+):.*##", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`make ([\w-]+)", text)) <= {*targets}
    with pytest.raises(SystemExit):
        main(["--help"])
    known = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert set(re.findall(r"python -m fluency (\w+)", text)) <= {*known}


def has(tree, keys):
    return not keys or (isinstance(tree, dict) and keys[0] in tree and has(tree[keys[0]], keys[1:]))


def test_contributors_are_told_what_each_dependency_is_for():
    pinned = re.findall(r"^([\w-]+).*==", Path("requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    page = Path("CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition("| package | why |\n| --- | --- |\n")[2].partition("\n\n")[0]
    told = [name for row in table.splitlines() for name in row.split("|")[1].strip().split(", ")]
    assert sorted(told) == sorted(pinned)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#:]+)\)", text_of(page)):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_figure_is_that_of_its_source(page):
    """Behind it, unseen by readers: `27.7<!-- benchmarks/training.json: ours_times.padded to 512 -->`."""
    for figure, path, _, key in re.findall(r"([\d.,]+)<!-- ([\w/.]+)(: (.+?))? -->", text_of(page)):
        source = Path(path).read_text(encoding="utf-8")
        if not key:
            assert re.search(rf"\b{re.escape(figure).replace(',', '[,_]?')}\b", source), f"{figure} is not in {path}"
            continue
        value = json.loads(source)
        for name in key.split("."):
            value = value[int(name) if isinstance(value, list) else name]
        assert round(value, len(figure.partition(".")[2])) == float(figure.replace(",", "")), f"{path}: {key}: {value}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_files_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    names = re.findall(r"`([\w/]+\.(?:py|yaml))`", text)
    missing = [name for name in names if not any(Path(folder, name).is_file() for folder in ("", "fluency", "stages"))]
    assert not missing
