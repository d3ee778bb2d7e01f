"""The help says what each command is for, in words that its name does not say."""

import re
import subprocess
import sys

import pytest

from fluency.cli.commands import main

COMMANDS = tuple("check doctor summary readme score search export attack label compare verify convert".split())


def helped(capsys, *arguments):
    with pytest.raises(SystemExit):
        main([*arguments, "--help"])
    return capsys.readouterr().out


def test_the_help_lists_every_command_in_other_words_than_its_name(capsys):
    listed = dict(re.findall(r"^    (\w+) +(\S.*(?:\n {14,}.*)*)", helped(capsys), re.MULTILINE))
    assert tuple(listed) == COMMANDS
    for name, told in listed.items():
        assert name[:5] not in told.lower(), name


@pytest.mark.parametrize(
    "arguments",
    [
        *(("search", "--trials", wrong) for wrong in ("0", "-1", "2.5")),
        *(("search", "--name", wrong) for wrong in ("a b", "../a", "a/b", "", "-a")),
        *(("attack", f"--{name}", "0") for name in ("tries", "rounds")),
        *(("compare", "--limit", wrong) for wrong in ("0", "-1")),
        *(("attack", "--limit", wrong) for wrong in ("-0.1", "2", "nan", "x")),
    ],
)
def test_an_argument_out_of_range_is_named(capsys, arguments):
    command, name, value = arguments
    with pytest.raises(SystemExit) as error:
        main([command, f"{name}={value}"])
    assert error.value.code == 2
    assert f"argument {name}: " in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_own_help_describes_it(capsys, command):
    description = helped(capsys, command).split("\n\n")[1]
    assert len(description.split()) > 8
    assert not description.startswith(("positional", "options"))


@pytest.mark.parametrize(("package", "command"), [("openai", "label x.jsonl -o y"), ("optuna", "search")])
def test_a_package_that_is_not_installed_is_named_in_one_line(package, command):
    """As in another project, which has installed the wheel without its extras."""
    code = (
        f"import sys; sys.modules[{package!r}] = None; from fluency.cli.commands import main; main({command.split()})"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert package in done.stderr
    assert done.stderr.endswith("or install the extra that has it\n")
