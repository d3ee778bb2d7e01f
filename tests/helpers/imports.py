"""The project's modules that a module imports, directly or through others."""

import ast
from pathlib import Path


def imported_files(module: Path, *, lazy: bool = True) -> set[Path]:
    """Files of fluency/ and stages/ that running `module` may need, itself and templates included.

    Imports inside functions count where `lazy`, but for a package's `__init__`, which loads its public names only when
    asked.
    """
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        waiting += [init for parent in path.parents if (init := parent / "__init__.py").is_file()]
        found |= {path.with_suffix(".html")} if path.with_suffix(".html").is_file() else set()  # a module's template
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree) if lazy and path.name != "__init__.py" else tree.body:
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if name.split(".")[0] in ("fluency", "stages"):
                    base = Path(*name.split("."))
                    waiting += [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()]
    return found
