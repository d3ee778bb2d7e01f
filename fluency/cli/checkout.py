"""The checkout that a command runs in: what git says of it, and where the checkpoints of its trainings are."""

import subprocess
from pathlib import Path

from fluency.utils.errors import UserError

CHECKPOINTS = Path(".checkpoints")


def git(*command: str) -> str:
    """What git prints.

    Raises:
        UserError: git fails.
    """
    done = subprocess.run(["git", *command], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        reason = " ".join(done.stderr.split()).removeprefix("fatal: ")
        if "dubious ownership" in reason:
            trusted = f"`git config --global --add safe.directory {Path.cwd()}`, if you trust it"
            raise UserError(f"this checkout is another user's; {trusted}")
        raise UserError(f"{reason}; DVC needs a clone made by git, not an archive of the files")
    return done.stdout
