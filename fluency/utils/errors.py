"""What a user can mend is told in one line, without a traceback."""


class UserError(Exception):
    """Something outside the code is wrong: a parameter, a file, a row, a source.

    The message names the key, file or row and the remedy, in one line.
    """
