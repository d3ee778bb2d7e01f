"""What a user can mend is told in one line, without a traceback."""

import sys
from collections.abc import Callable


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
