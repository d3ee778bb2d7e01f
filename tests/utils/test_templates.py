"""A template shows values as text, and misses none."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from fluency.utils.templates import render


@pytest.fixture
def module(tmp_path) -> str:
    """A module's file, with the template `page.KIND.jinja` beside it."""
    return str(tmp_path / "page.py")


def test_values_are_escaped_in_html_and_stay_as_they_are_in_markdown(module, tmp_path):
    for kind, shown in (("html", "a &lt;b&gt; &amp; \ufffd"), ("md", "a <b> & \ufffd")):
        template = tmp_path / f"page.{kind}.jinja"
        template.write_text("{{ text }}\n")
        assert render(module, text="a <b> & \ud800") == f"{shown}\n"
        template.unlink()


def test_a_name_that_is_not_given_is_an_error(module, tmp_path):
    Path(tmp_path / "page.md.jinja").write_text("{{ absent }}")
    with pytest.raises(UndefinedError, match="absent"):
        render(module)
