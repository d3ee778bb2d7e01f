"""The tests' warm `python` does what an ordinary one does, but for the time that it takes."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.conftest import warm_environment
from tests.helpers.processes import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is an ordinary python")

TELL = "import os, sys; print(sys.argv, sys.path[0], __name__, os.getcwd(), os.environ['OWN'])"


def run(command: str, folder, **environment: str) -> tuple[int, str, str]:
    environment = os.environ | {"OWN": "its own"} | environment
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "python -m told one 'and two'",
        f'python -c "{TELL}" one',
        "python - one < told.py",
        "python told.py one",
        "python -c 'import sys; sys.exit(\"error: such\")'",
        "python -c 'raise SystemExit(7)'",
        "exec python -c 'import os; os.kill(os.getpid(), 9)'",
        "echo read | python -c 'print(input())'",
    ],
)
def test_a_command_does_the_same(tmp_path, command):
    (tmp_path / "told.py").write_text(f"{TELL}; print(__file__)\n" if "-m" in command else TELL)
    code, printed, errors = run(command, tmp_path, **warm_environment())
    assert (code, printed, errors) == run(command, tmp_path)
    assert code != 0 or printed


def test_libraries_are_there_already_unless_they_would_be_others(tmp_path):
    command = "python -c \"import sys; print('torch' in sys.modules)\""
    assert run(command, tmp_path, **warm_environment()) == (0, "True\n", "")
    assert run(command, tmp_path, HF_HOME="elsewhere", **warm_environment()) == (0, "False\n", "")


def test_what_is_killed_is_gone(tmp_path):
    code = "import os, pathlib, time; pathlib.Path('part').write_text(str(os.getpid())); "
    code += "os.rename('part', 'pid'); time.sleep(600)"
    asked = subprocess.Popen(["python", "-c", code], cwd=tmp_path, env=os.environ | warm_environment())
    wait_until((tmp_path / "pid").exists, asked)
    process = psutil.Process(int((tmp_path / "pid").read_text()))
    assert process.pid != asked.pid
    asked.send_signal(signal.SIGKILL)
    assert asked.wait() == -signal.SIGKILL
    psutil.wait_procs([process], timeout=60)
    assert not process.is_running()
