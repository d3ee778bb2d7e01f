"""The commands of each page, typed from top to bottom in a small project, do what the page says."""

import logging
import re

import pytest
import yaml

from tests.conftest import warm_environment
from tests.helpers.documents import PAGES, run_session, typed

# What commands print, by how they start, where it says more than that they end well.
PRINTED = {
    "README.md": {"make repro": r"\| \*\*all\*\* +\| +40 \|", "python -": r"(?m)^[01]\.\d+$"},
    "docs/data.md": {
        "dvc exp run": "path:../edits.csv: 2 rows, 0 rejected",
        "cat data/pairs/AUDIT.md": r"\| edits +\|",
    },
    "docs/evaluation.md": {
        "dvc exp run": "Stage 'train' didn't change, skipping",
        "dvc metrics diff": r"\A(.*(Path|operating_point|metrics/(challenge|attack).json).*\n)+\Z",
        "python -m fluency compare main sure": "40 pairs. Differences are sure less main",
        "python -m fluency verify": "precision",
    },
    "docs/experiments.md": {
        "dvc params diff": r"train.learning_rate +3e-05 +6e-05",
        "dvc metrics diff": r"metrics/validation.json +average_precision ",
        "python -m fluency compare": "40 pairs. Differences are workspace less HEAD",
        "dvc queue status": r"short .* Queued",
        "dvc exp run --run-all": "error: params.yaml: encode.max_length: must be 8 or more",
        "make experiments": r"(?s)precision_at_recall.0.8.*train.seed.*grid-1(?!.*short)",
        "dvc queue status | grep Failed": "short",
        "dvc queue logs short": "error: params.yaml: encode.max_length: must be 8 or more",
        "(cd ../elsewhere": "Data and pipelines are up to date",
        "dvc params diff --md": r"\| params.yaml \| train.seed +\| 42 +\| 1 ",
        "python -m fluency compare main better": "40 pairs. Differences are better less main",
    },
    "docs/quick_start.md": {
        "python -m fluency summary": r"\| edits +\| +[1-9]",
        "python -m fluency score --before": "accepted at the operating point",
        "python -m fluency score ../edits.csv": "40 rows scored, 0 rejected",
        "head -3 ../scored.csv": r"before,after,label,score,accepted,reason",
        "dvc exp run -n mine": r"path:../edits.csv: 40 rows, 0 rejected",
        "dvc exp run -n strict": "Stage 'train' didn't change, skipping",
        "python -m fluency compare": "40 pairs. Differences are workspace less HEAD",
        "make experiments": r"(?s)\A(?!.*(splits|noise)\.).* data\.source .*(mine.*strict|strict.*mine)",
        "python -": r"\[[01]\.\d+\]",
    },
    "docs/reproducing.md": {"dvc status": "Data and pipelines are up to date"},
    "docs/scorer.md": {"python -": r"edit 0: after: empty"},
    "docs/serving.md": {
        "python -m fluency export exported": "exported: README.md, calibration.json, config.json",
        "python -m fluency export one_logit": "one_logit: config.json, model.safetensors, tokenizer",
    },
}


@pytest.fixture(scope="session")
def s3():
    """The environment in which an S3 client finds a server of our own, with a bucket named fluency."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else each request is a line
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    boto3.client("s3", "us-east-1", endpoint_url=url, **keys).create_bucket(Bucket="fluency")
    yield {name.upper(): value for name, value in keys.items()} | {"AWS_ENDPOINT_URL": url}
    server.stop()


_LONGEST_FIRST = sorted(PAGES, key=lambda page: -len(typed(page)))


# each of four workers begins with a long one
@pytest.mark.parametrize("page", [page for worker in range(4) for page in _LONGEST_FIRST[worker::4]], ids=str)
def test_commands_do_what_the_page_says(page, trained_project, s3):
    printed = run_session(page, trained_project.folder, **warm_environment(), **s3)
    for start, pattern in PRINTED.get(page.as_posix(), {}).items():
        found = next(output for command, output in printed.items() if re.match(rf"{re.escape(start)}(?!\w)", command))
        assert re.search(pattern, found), f"{start}:\n{found}"
    if page.name == "experiments.md":
        assert (trained_project.folder / "../release/fluency/model.safetensors").is_file()
        assert (trained_project.folder / "../release/calibration.json").is_file()
        assert_a_pull_request_says_what_changed(trained_project)


def assert_a_pull_request_says_what_changed(project):
    """The step of the workflow, as GitHub runs it."""
    workflow = yaml.safe_load((project.folder / ".github/workflows/ci.yaml").read_text(encoding="utf-8"))
    step = next(step for step in workflow["jobs"]["ci"]["steps"] if step.get("name") == "Say what changed")
    (project.folder / "../step.sh").write_text(step["run"])
    base = project.run("git rev-parse main").strip()
    project.run("bash -e -o pipefail ../step.sh", BASE=base, GITHUB_STEP_SUMMARY="../summary.md")
    summary = (project.folder / "../summary.md").read_text(encoding="utf-8")
    assert "| params.yaml | train.seed " in summary
    assert f"Differences are workspace less {base}" in summary
    assert re.search(r"\| metrics/test.json +\| average_precision ", summary)
