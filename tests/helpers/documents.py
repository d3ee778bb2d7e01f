"""What the documents tell their readers to type: shell commands and Python, page by page, in order.

A command says `# needs ...` where not every reader can run it at once: in a comment behind it, or above a paragraph of
commands. All others are run by tests/pages/.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

PAGES = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").glob("*.md"))]

# What a command may need that the tests don't have.
NEEDS = (
    "4 GPUs",
    "two machines",
    "a GPU",
    "a key",
    "the hub",
    "a package index",
    "a server",
    "docker",
    "ray",
    "minutes",
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEED = re.compile(r"#.*\bneeds (.+)")
_MARK = "\x1e"  # ASCII's record separator


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line at which the text starts."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Command:
    """A shell command with its comment, the line it starts at, and what it needs, if anything."""

    text: str
    line: int
    needs: str | None


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [Block(match[1], match[2], text.count("\n", 0, match.start(2)) + 1) for match in _FENCE.finditer(text)]


def commands(block: Block) -> Iterator[Command]:
    """The commands of a shell block, each with its continuation lines."""
    paragraph_needs, waiting, start = None, "", 0
    for line, text in enumerate(block.text.splitlines(keepends=True), start=block.line):
        if not waiting and (not text.strip() or text.startswith("#")):
            need = _NEED.search(text)
            paragraph_needs = need[1] if need else paragraph_needs if text.strip() else None
            continue
        start = start if waiting else line
        waiting += text
        if not _goes_on(waiting):
            need = _NEED.search(waiting)
            yield Command(waiting.strip(), start, paragraph_needs or (need and need[1]))
            waiting = ""
    assert not waiting, f"line {start}: the command does not end:\n{waiting}"


def _goes_on(text: str) -> bool:
    """Whether a shell would wait for more."""
    checked = subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False)
    return text.endswith("\\\n") or bool(checked.returncode or checked.stderr)


def program(page: Path) -> str:
    """The page's Python, as one program; a block whose first line says what it needs is left out."""
    return "\n".join(block.text for block in blocks(page) if block.language == "python" and not _NEED.match(block.text))


def typed(page: Path) -> list[Command]:
    """The page's commands that need nothing, in order; its Python, as one program, is the last of them."""
    shell_blocks = [block for block in blocks(page) if block.language == "sh"]
    found = [command for block in shell_blocks for command in commands(block) if command.needs is None]
    if python := program(page):
        found.append(Command(f"python - <<'END'\n{python}\nEND", 0, None))
    return found


def run_session(page: Path, folder: Path, **environment: str) -> dict[str, str]:
    """Type the page's commands in one shell, in `folder`; returns what each printed, by its text without the comment.

    What is left in the background is ended.
    """
    session = typed(page)
    script = "".join(f"printf '{_MARK}'\n{{ {command.text}\n}} || exit 1\n" for command in session)
    with TemporaryFile("w+", encoding="utf-8") as printed:
        shell = subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", script], cwd=folder, env=os.environ | environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT,
        )  # fmt: skip
        failed = shell.wait()
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
        printed.seek(0)
        outputs = printed.read().split(_MARK)[1:]
    if failed:
        last = session[len(outputs) - 1]
        raise AssertionError(f"{page}:{last.line}: {last.text} failed:\n{outputs[-1]}")
    return {re.sub(r"\s+# .*", "", command.text): output for command, output in zip(session, outputs, strict=True)}
