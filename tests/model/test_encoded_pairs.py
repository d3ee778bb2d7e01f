"""Encoded pairs come back from their files as they were, for either kind of model."""

import numpy as np
import pytest

from fluency.model.encoded_pairs import EncodedPairs, write_encoded
from fluency.utils.errors import UserError

EDITS, LABELS = [("a", "b"), ("b", "a"), ("a", "c"), ("b", "b"), ("a", "b")], [1, 0, 0, 1, 1]
TOKENS = [{"input_ids": list(range(length)), "attention_mask": [1] * length} for length in (3, 1, 7, 2, 5)]
FIGURES = [
    {"features": np.arange(4, dtype=np.float32) * row, "states": np.full((3, 2), row, dtype=np.float16)}
    for row in range(5)
]


@pytest.mark.parametrize(("items", "lengths"), [(TOKENS, [3, 1, 7, 2, 5]), (FIGURES, [1] * 5)])
def test_what_is_written_in_chunks_comes_back(tmp_path, items, lengths):
    write_encoded(tmp_path / "split", iter([items[:2], items[2:]]), LABELS, EDITS)
    pairs = EncodedPairs(tmp_path / "split")
    assert len(pairs) == 5
    for row, item in enumerate(items):
        assert pairs[row].keys() == {*item, "labels"}
        assert pairs[row]["labels"] == LABELS[row]
        for name, value in item.items():
            assert pairs[row][name].dtype == (np.int32 if items is TOKENS else value.dtype)
            assert np.array_equal(pairs[row][name], value)
    assert pairs.lengths().tolist() == lengths
    assert pairs.edits.tolist() == [0, 0, 1, 2, 0], "an edit and its reverse have one number, others another"


def test_a_folder_that_is_missing_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^\S+/none: no encoded pairs; `dvc repro encode_pairs` makes them$"):
        EncodedPairs(tmp_path / "none")
