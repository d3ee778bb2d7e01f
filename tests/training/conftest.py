"""A training that several tests look at."""

import pytest

from tests.helpers.trainings import Training


@pytest.fixture(scope="session")
def usual(tmp_path_factory, tiny_model) -> Training:
    """A training to its end, in one process, beside what one that was killed has left; tests only look at it."""
    training = Training(tmp_path_factory.mktemp("usual") / "training", tiny_model)
    (training.folder / "models/.fluency.99999999.part").mkdir()
    training.run()
    return training
