"""The job for a GPU elsewhere is well-formed, and what it types is there."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from fluency.cli.commands import main

JOB = yaml.safe_load(Path("jobs/gpu.yaml").read_text(encoding="utf-8"))


def test_the_job_has_what_skypilot_takes():
    assert JOB.keys() == {"name", "workdir", "resources", "setup", "run"}
    assert JOB["workdir"] == "."
    assert all(re.fullmatch(r"[\w-]+:\d+", accelerator) for accelerator in JOB["resources"]["accelerators"])


def test_what_the_job_types_exists(capsys):
    typed = f"{JOB['setup']}\n{JOB['run']}"
    subprocess.run(["bash", "-n", "-c", typed], check=True)
    targets, commands = re.findall(r"^make (\S+)$", typed, re.MULTILINE), re.findall(r"-m fluency (\w+)", typed)
    assert targets
    assert commands
    for target in targets:
        subprocess.run(["make", "-n", target], check=True, capture_output=True)
    for command in commands:
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
