"""The project's modules that a module imports, directly or through others."""

import ast
from collections.abc import Iterator
from pathlib import Path


def imported_files(module: Path, *, lazy: bool = True) -> set[Path]:
    """Files of fluency/ and stages/ that running `module` may need, itself and its templates included.

    Packages' `__init__` files are left out: they hold no code, but for the public names of `fluency`.

    Args:
        lazy: whether imports inside functions count.
    """
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imports_of(path, lazy=lazy)
    return found | {page for path in found for page in path.parent.glob(f"{path.stem}.*.jinja")}


def imports_of(path: Path, *, lazy: bool = True) -> Iterator[Path]:
    """The modules of the project that one module names in its imports; arguments as for `imported_files`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if lazy else tree.body:
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.split(".")[0] in ("fluency", "stages"):
                file = Path(*name.split(".")).with_suffix(".py")
                if file.is_file():
                    yield file
