"""Readers find each figure of the committed files in the table of docs/evaluation.md."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

NAMED_BY_DATA = {"rejected", "parts", "corpora"}  # what is in them has names from the corpus


def names(tree: dict, above: str = "") -> Iterator[str]:
    """The names of figures; one that is a number or comes from data is told by the name above."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from names(value, name)
        else:
            yield above if above in NAMED_BY_DATA or name[0].isdigit() else re.sub("_(low|high)$", "", name)


@pytest.mark.parametrize("file", sorted(Path("metrics").glob("*.json")), ids=lambda file: file.stem)
def test_every_figure_has_a_row(file):
    page = Path("docs/evaluation.md").read_text(encoding="utf-8")
    rows = page.partition("## What each figure means\n\n")[2].partition("\n\n")[0].splitlines()
    explained = set(re.findall(r"`([\w.]+)`", " ".join(row.split("|")[1] for row in rows)))
    assert sorted(set(names(json.loads(file.read_text(encoding="utf-8")))) - explained) == []
