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


@pytest.mark.parametrize("part", ["setup", "run"])
def test_what_the_job_types_exists(part, capsys):
    subprocess.run(["bash", "-n", "-c", JOB[part]], check=True)
    targets = re.findall(r"^make (\S+)$", JOB[part], re.MULTILINE)
    assert targets
    for target in targets:
        subprocess.run(["make", "-n", target], check=True, capture_output=True)
    for command in re.findall(r"-m fluency (\w+)", JOB[part]):
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
