"""A `python` for the tests' pipelines that starts at once: a fork of one that has imported the libraries already.

Importing torch and transformers takes longer than what a stage or command then does with a tiny model. The code of the
project itself is imported by each fork anew, as it is of a copy. A command is run by an ordinary python where the fork
would not be the same: with other options, or other settings that libraries read while they are imported.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, NoReturn

_LIBRARIES = (
    "accelerate",
    "datasets",
    "matplotlib.pyplot",
    "pandas",
    "pyarrow.parquet",
    "safetensors.torch",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.metrics",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.models.modernbert.modeling_modernbert",
    "transformers.trainer",
)
# How the names of variables start that libraries, or Python itself, read when they are imported.
_READ_AT_IMPORT = (
    "ATEN", "CUDA", "HF_", "HOME", "MKL", "OMP", "ONEDNN", "OPENBLAS", "PYTHONPATH", "PYTHONUNBUFFERED",
    "PYTHONWARNINGS", "TRANSFORMERS", "XDG",
)  # fmt: skip
_ROOT = Path(__file__).parent.parent.parent


@contextmanager
def warm_python() -> Iterator[Path]:
    """A folder with a command `python`, until the end of the context; nothing is imported before it is first called."""
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        address, command = f"{folder}/socket", Path(folder, "python")
        path = f"sys.path.insert(0, {str(Path(__file__).parent)!r})"
        code = f"import sys; {path}; import warm_python; warm_python.ask({address!r}, {_settings()!r})"
        command.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-PSE", "-c", code])} "$@"\n')
        command.chmod(0o755)
        listening.bind(address)
        listening.listen()
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.warm_python", str(listening.fileno())], cwd=_ROOT,
            pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            yield Path(folder)
        finally:
            server.kill()
            server.wait()


def ask(address: str, settings: dict[str, str]) -> None:
    """Have this process's command run by a fork, and end as that does; or become an ordinary python.

    Args:
        settings: of the python that forks.
    """
    if sys.platform != "linux" or sys.argv[1:2] not in (["-m"], ["-c"], ["-"]) or _settings() != settings:
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606
    command = json.dumps({"argv": sys.argv[1:], "folder": str(Path.cwd()), "environment": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [len(command).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(command)
        status = json.loads(server.recv(16))
    if status < 0:
        with suppress(OSError):  # SIGKILL is nobody's to set
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_READ_AT_IMPORT)}


def _command(listening: socket.socket) -> dict[str, Any]:
    """Wait for commands; returns, in a process of its own, each that was asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for commands
    while True:
        client, _ = listening.accept()
        for library in _LIBRARIES:
            importlib.import_module(library)
        gc.freeze()  # what was imported is no garbage, and takes long to look through
        if os.fork() == 0:
            break
        client.close()
    listening.close()
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(client, 4, 3)
    with client.makefile("rb") as sent:
        command = json.loads(sent.read(int.from_bytes(length, "big")))
    process = os.fork()
    if process:
        _wait(process, client)
    client.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return command


def _wait(process: int, client: socket.socket) -> NoReturn:
    """Tell the client how the process ends; all that it started ends with the client."""
    ended = os.pidfd_open(process)
    if ended not in select.select([ended, client], [], [])[0]:
        os.killpg(0, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    client.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(argv: list[str], folder: str, environment: dict[str, str]) -> None:
    """Do what `python ARGV` does in that folder."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    kind, *rest = argv
    sys.path[0] = folder if kind == "-m" else ""
    if kind == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        return
    text, sys.argv = (sys.stdin.read(), argv) if kind == "-" else (rest[0], [kind, *rest[1:]])
    main = sys.modules["__main__"] = ModuleType("__main__")
    exec(compile(text, "<stdin>" if kind == "-" else "<string>", "exec"), main.__dict__)  # noqa: S102


def _main(listening: socket.socket) -> None:
    status = 1  # where an error is caught by nobody

    def leave() -> None:
        """End without freeing what was imported, object by object."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    atexit.register(leave)  # before all others, so it is the last
    command = _command(listening)
    try:
        _run(**command)
        status = 0
    except SystemExit as asked:
        status = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
        raise


if __name__ == "__main__":
    _main(socket.socket(fileno=int(sys.argv[1])))
