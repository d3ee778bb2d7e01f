"""Pages from Jinja2 templates, which stand beside the modules that fill them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


def render(module: str, *, filters: dict[str, Callable[..., Any]] | None = None, **values: Any) -> str:
    """Fill the template of a module: `page.html.jinja` of `page.py`. Values are escaped where it makes HTML.

    Args:
        module: the module's `__file__`.
        filters: functions that the template calls by name.
        values: what it shows; a name that it uses and is not given is an error.
    """
    template = template_of(module)
    environment = Environment(
        autoescape=select_autoescape(["html.jinja"]),
        finalize=_shown,
        keep_trailing_newline=True,
        loader=FileSystemLoader(template.parent),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= filters or {}
    return environment.get_template(template.name).render(values)


def template_of(module: str) -> Path:
    """The template beside a module, told by its `__file__`."""
    (template,) = Path(module).parent.glob(f"{Path(module).stem}.*.jinja")
    return template


def _shown(value: Any) -> Any:
    """The value without the characters that no HTML and no UTF-8 may hold."""
    return re.sub("[\0\ud800-\udfff]", "\ufffd", value) if type(value) is str else value
