"""What the documents tell readers to type works, in a small project, or says what it needs that is not here."""

import logging
import re
from pathlib import Path

import pytest

from tests.documents import NEEDS, blocks, commands, run_session

EXPERIMENTS = Path("docs/experiments.md")
PAGES = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").glob("*.md"))]


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


def test_a_day_of_experiments(trained_project, s3):
    printed = run_session(EXPERIMENTS, trained_project.folder, **s3)
    for k, v in printed.items():
        print("$", k)
        print(v)
