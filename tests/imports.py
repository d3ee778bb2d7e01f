"""The project's modules that a module imports, directly or through others (imports inside functions count too)."""

import ast
from pathlib import Path


def imported_files(module: Path) -> set[Path]:
    """Files of fluency/ and stages/ that `module` needs, itself included."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
