"""What a process does with memory, and when it ends; its locks are tested where they are used."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

_FAULTS = """
import resource
from fluency.utils.processes import keep_memory

def pages_taken():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        b"x" * 2**26  # 16,384 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = pages_taken()
keep_memory()
pages_taken()
print(usual, pages_taken())
"""


_STAGE = """
import time
from fluency.utils.processes import run_stage

def work():
    print("on", flush=True)
    time.sleep(600)

run_stage(work)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs glibc"
)
def test_memory_that_was_freed_is_used_again():
    done = subprocess.run([sys.executable, "-c", _FAULTS], check=True, capture_output=True, text=True)
    usual, kept = map(int, done.stdout.split())
    assert kept < usual / 10


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
@pytest.mark.parametrize("killed", ["dvc", "launcher"])
def test_a_stage_ends_with_what_started_it(killed):
    """An orphan would write over the files of the next run."""
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    place = {"DVC_STAGE": "train"} if killed == "dvc" else {"TORCHELASTIC_RUN_ID": "none", "RANK": "0"}
    started = subprocess.Popen(
        [sys.executable, "-c", parent, _STAGE], env=os.environ | place, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    with started:
        assert started.stdout.readline() == "on\n"
        (child,) = psutil.Process(started.pid).children()
        started.kill()
    child.wait(60)


@pytest.mark.parametrize("path", ["dvc.yaml", "stages/llm_judge/dvc.yaml"])
def test_no_shell_stands_between_dvc_and_a_stage(path):
    """It would live on when DVC is killed, and its stage too."""
    stages = yaml.safe_load(Path(path).read_text(encoding="utf-8"))["stages"].values()
    commands = [stage.get("do", stage)["cmd"] for stage in stages]
    assert commands
    assert all(command.startswith("exec python -m stages.") for command in commands)
