"""Pairs are encoded as the reader reads them, once: a run that was cut off goes on, and with nothing of another's."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fluency.model import encode
from fluency.model.edit_features import EditReader
from fluency.model.encode import encode_pairs, parts_folder, reader_of
from fluency.model.encoded_pairs import EncodedPairs
from fluency.model.params import EncodeParams
from fluency.utils.errors import UserError
from fluency.utils.files import write_json, written_aside
from tests.helpers.language_models import CHANGES, LAYERS, PAIRS, fetched

PARAMS = {"max_length": 64, "layer": 2, "following": 4}


@pytest.fixture
def counts(monkeypatch):
    """The numbers of pairs that are read at once, in parts of five; the part after `None` and 5 fails."""
    counts, read = [], EditReader.read

    def counting(reader, items, **options):
        if counts[-2:] == [None, 5]:
            raise KeyboardInterrupt
        counts.append(len(items))
        return read(reader, items, **options)

    monkeypatch.setattr(encode, "_PART", 5)
    monkeypatch.setattr(EditReader, "read", counting)
    return counts


@pytest.fixture
def run(language_model, tmp_path):
    """Encodes the pairs; returns them."""
    pq.write_table(pa.Table.from_pylist(PAIRS), tmp_path / "pairs.parquet")

    def run(base=language_model, **changes):
        params = EncodeParams(**PARAMS | changes)
        parts = parts_folder(tmp_path / "parts", base, params)
        with written_aside(tmp_path / "encoded") as aside:
            encode_pairs(tmp_path / "pairs.parquet", aside, reader_of(base, params), parts=parts, progress="train")
        return EncodedPairs(tmp_path / "encoded")

    return run


def test_a_cross_encoder_gets_token_ids(run, tiny_model, tmp_path):
    base = shutil.copytree(tiny_model, tmp_path / "base")
    write_json(base / "manifest.json", {"kind": "cross_encoder"})
    found = run(base)
    for row, item in enumerate(reader_of(base, EncodeParams(**PARAMS)).tokenise(CHANGES, cut=True)):
        assert {name: found[row][name].tolist() for name in item} == item
    assert not (tmp_path / "parts").exists()


def test_a_run_that_was_cut_off_reads_only_what_it_has_not(run, counts, reader):
    counts.append(None)
    with pytest.raises(KeyboardInterrupt):
        run()
    counts[:] = []
    found = run()
    assert counts == [5, 2]
    assert run().columns.keys() == {"features", "states"}
    assert counts == [5, 2]
    for row, item in enumerate(reader.read(reader.tokenise(CHANGES, cut=True))):
        for name, value in item.items():
            assert found[row][name] == pytest.approx(value, rel=2e-3, abs=2e-3), name  # one step of a state's float16
    assert found.labels.tolist() == [pair["label"] for pair in PAIRS]
    assert found.edits.tolist() == [number // 2 for number in range(len(PAIRS))]


@pytest.mark.parametrize("changes", [{"layer": 1}, {"following": 1}, {"max_length": 8}, {"base": "other"}])
def test_nothing_is_taken_from_another_base_or_other_params(run, counts, tmp_path, changes):
    first = np.array(run().columns["states"])
    second = run(**changes | ({"base": fetched(tmp_path / "other", seed=1)} if "base" in changes else {}))
    assert counts == [5, 5, 2] * 2
    assert np.abs(second.columns["states"] - first).max() > 1e-2


@pytest.mark.parametrize(("key", "most"), [("layer", LAYERS), ("max_length", 256)])
def test_more_than_the_language_model_has_is_refused(run, key, most):
    assert len(run(**{key: most})) == len(PAIRS)
    message = f"encode.{key}: {most + 1}, where the language model has {most}; set {most} or less"
    with pytest.raises(UserError, match=f"^{message}$"):
        run(**{key: most + 1})


def test_a_base_model_that_is_missing_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^\S+manifest.json: no such file; `dvc repro` makes it$"):
        reader_of(tmp_path / "none", EncodeParams(**PARAMS))
