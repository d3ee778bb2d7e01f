"""What a user can mend is told in one line, without a traceback."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fluency


class UserError(Exception):
    """Something outside the code is wrong: a parameter, a file, a row, a source.

    The message names the key, file or row and the remedy, in one line.
    """


def exit_in_one_line(main: Callable[[], None]) -> None:
    """Call `main`; what the user can mend, and Ctrl-C, end in one line on stderr and exit code 1."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("error: stopped by Ctrl-C")
    except (UserError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage of the pipeline, and end as `exit_in_one_line` does; a stage that succeeds tells its time.

    DVC runs queued experiments in a copy of the repository. A stage that imported the library from elsewhere would
    report the results of other code, so it refuses to run.
    """
    imported, here = Path(fluency.__file__).parent.parent, Path.cwd()
    if imported.resolve() != here.resolve():
        sys.exit(f"error: fluency was imported from {imported}, not from {here}; uninstall that copy, run at the root")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # a new classification head is no news here
    started = time.perf_counter()
    exit_in_one_line(main)
    if os.environ.get("RANK") in (None, "", "0"):  # of several processes, one
        print(f"{Path(sys.argv[0]).stem} took {time.perf_counter() - started:.0f} s")
