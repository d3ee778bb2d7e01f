"""A tiny language model that several tests read with."""

from pathlib import Path

import pytest

from fluency.model.device import Device
from fluency.model.edit_reader import EditReader
from fluency.model.params import EncodeParams
from tests.helpers.language_models import fetched

CPU = Device("cpu", bf16=False)


@pytest.fixture(scope="session")
def language_model(tmp_path_factory) -> Path:
    """The folder of a random language model; tests only look at it."""
    return fetched(tmp_path_factory.mktemp("language-model") / "base")


@pytest.fixture(scope="session")
def reader(language_model) -> EditReader:
    """Reads with it; tests only look at it."""
    return EditReader(language_model, CPU, EncodeParams(max_length=64, layer=2, following=4))
