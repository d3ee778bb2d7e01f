"""What ends a command ends it in one line."""

import pytest

from fluency.utils.errors import UserError, exit_in_one_line


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (UserError("train.seed: must be\n0 or more"), "error: train.seed: must be 0 or more"),
        (FileNotFoundError(2, "No such file", "edits.csv"), "error: [Errno 2] No such file: 'edits.csv'"),
        (KeyboardInterrupt(), "error: stopped by Ctrl-C"),
    ],
)
def test_what_a_user_did_or_can_mend_ends_in_one_line(raised, line):
    def main():
        raise raised

    with pytest.raises(SystemExit) as stop:
        exit_in_one_line(main)
    assert str(stop.value) == line


def test_a_fault_of_the_code_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        exit_in_one_line(lambda: 1 / 0)
