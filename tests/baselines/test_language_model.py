"""The untrained language model's scores are its differences in the same order, as numbers between 0 and 1."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fluency.baselines.language_model import score
from fluency.model.edit_features import FEATURES
from fluency.model.encoded_pairs import EncodedPairs, write_encoded

DIFFERENCES = st.integers(-1_000_000, 1_000_000).map(lambda hundredths: hundredths / 100)  # 512 tokens of 20 nats each


def scores(differences: list[float], folder: Path) -> np.ndarray:
    features = np.zeros((len(differences), len(FEATURES)), dtype=np.float32)
    features[:, FEATURES.index("log p of the tokens that differ, difference")] = differences
    items = [{"features": row} for row in features]
    write_encoded(folder, [items], [1] * len(items), [("a", "b")] * len(items))
    return score(EncodedPairs(folder))


@given(st.lists(DIFFERENCES, min_size=1, unique=True))
def test_scores_keep_the_order_of_any_differences_and_none_is_0_or_1(tmp_path_factory, differences):
    found = scores(differences, tmp_path_factory.mktemp("scores") / "split")
    assert found.shape == (len(differences),)
    assert ((found > 0) & (found < 1)).all()
    assert (np.argsort(found) == np.argsort(differences)).all()
    assert len(set(found)) == len(differences)


def test_an_edit_and_its_reverse_lie_as_far_from_a_half(tmp_path):
    nothing, forth, back = scores([0, 7.5, -7.5], tmp_path / "split")
    assert nothing == 0.5 < forth == 1 - back


def test_a_cross_encoders_pairs_have_no_such_score(tmp_path):
    write_encoded(tmp_path / "split", [[{"input_ids": [1, 2], "attention_mask": [1, 1]}]], [1], [("a", "b")])
    assert score(EncodedPairs(tmp_path / "split")) is None
