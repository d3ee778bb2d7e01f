"""How a stage of the pipeline starts and ends."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import fluency
from fluency.utils.errors import UserError


def run(main: Callable[[], None]) -> None:
    """Run a stage; what the user can mend ends in one line on stderr and exit code 1.

    DVC runs queued experiments in a copy of the repository. A stage that imported the library from elsewhere would
    report the results of other code, so it refuses to run.
    """
    imported, here = Path(fluency.__file__).parent.parent, Path.cwd()
    if imported.resolve() != here.resolve():
        sys.exit(f"error: fluency was imported from {imported}, not from {here}; uninstall that copy, run at the root")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # a new classification head is no news here
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
