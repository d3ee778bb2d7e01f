"""Pairs are encoded as the reader reads them, once: a run that was cut off goes on, and with nothing of another's."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tokenizers import Tokenizer, normalizers

from fluency.corpus.rows import SPLITS
from fluency.model.device import Device
from fluency.model.edit_reader import EditReader
from fluency.model.encode import encode_pairs, parts_folder, reader_of
from fluency.model.encoded_pairs import EncodedPairs
from fluency.model.encoding import PairReader, load_tokenizer
from fluency.model.params import EncodeParams
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, write_json, written_aside
from tests.helpers.language_models import CHANGES, LAYERS, PAIRS, fetched, head_project, run_stages

PARAMS = {"max_length": 64, "layer": 2, "following": 4}


@pytest.fixture
def counts(monkeypatch):
    """The numbers of edits, both ways, that are read at once, in small batches; the second after `None` fails."""
    counts, read = [], EditReader.read_packs

    def counting(reader, packs):
        if counts[-2:-1] == [None]:
            raise KeyboardInterrupt
        counts.append(2 * sum(len(pack.edits) for pack in packs))
        return read(reader, packs)

    monkeypatch.setattr(Device, "batch_tokens", 60)
    monkeypatch.setattr(EditReader, "read_packs", counting)
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
    assert counts == [4, 4]
    assert run().columns.keys() == {"features", "states"}
    assert counts == [4, 4]
    for row, item in enumerate(reader.read(reader.tokenise(CHANGES, cut=True))):
        for name, value in item.items():
            assert found[row][name] == pytest.approx(value, rel=2e-3, abs=2e-3), name  # one step of a state's float16
    assert found.labels.tolist() == [pair["label"] for pair in PAIRS]
    assert found.edits.tolist() == [number // 2 for number in range(len(PAIRS))]


def test_several_processes_read_what_one_reads(run, counts, monkeypatch, tmp_path):
    one = {name: np.array(values) for name, values in run().columns.items()}
    shutil.rmtree(tmp_path / "parts")
    counts[:] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    several = run().columns
    assert counts == []  # nothing was read here
    assert all((several[name] == values).all() for name, values in one.items())


def test_processes_that_share_the_reading_leave_nothing_to_read(language_model, counts, monkeypatch, tmp_path, capsys):
    folders = [head_project(tmp_path / name, language_model) for name in ("alone", "shared")]
    run_stages(folders[0], "encode_pairs")
    alone, counts[:] = sum(counts), []
    shares = []
    for process in range(3):
        monkeypatch.setenv("RANK", str(process))
        monkeypatch.setenv("WORLD_SIZE", "3")
        run_stages(folders[1], "encode_pairs")
        shares.append(sum(counts) - sum(shares))
        assert f"process {process} of 3 has read its share; `dvc repro encode_pairs` goes" in capsys.readouterr().out
    assert all(shares)
    assert sum(shares) == alone
    assert not (folders[1] / "data/encoded").exists()
    monkeypatch.setenv("DVC_STAGE", "encode_pairs")  # what DVC starts does all that is left
    run_stages(folders[1], "encode_pairs")
    assert sum(counts) == alone
    one, other = (sorted(path for path in (its / "data/encoded").rglob("*") if path.is_file()) for its in folders)
    assert len(one) > 3
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert list((folders[1] / ".checkpoints").iterdir()) == []


@pytest.mark.parametrize("changes", [{"layer": 1}, {"following": 1}, {"max_length": 8}, {"base": "other"}])
def test_nothing_is_taken_from_another_base_or_other_params(run, counts, tmp_path, changes):
    first = np.array(run().columns["states"])
    second = run(**changes | ({"base": fetched(tmp_path / "other", seed=1)} if "base" in changes else {}))
    assert sum(counts) == 2 * len(PAIRS)
    assert np.abs(second.columns["states"] - first).max() > 1e-2


def uncased(base, tmp_path):
    """A base model whose tokenizer makes small letters of capitals, a space of a no-break one, and drops accents."""
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Replace("\u200b", ""), normalizers.Lowercase()]
    )
    copy = shutil.copytree(base, tmp_path / "uncased")
    tokenizer.save(str(copy / "tokenizer.json"))
    return copy


LONG = "we were here and " * 40
UNSEEN = {
    "invisible": [
        ("i live in paris.", "I live in Paris."),
        ("a café here", "a cafe here"),
        ("a caf\u00e9 here", "a cafe\u0301 here"),
        ("no break", "no\u00a0break"),
        ("no space", "no \u200bspace"),
        (f"{LONG}it ends.", f"{LONG}It ends."),
    ],
    "truncated": [
        (f"{LONG}She were tired.", f"{LONG}She was tired."),
        (f"{LONG}and they went home", f"{LONG}and they went"),
        (f"{LONG}tired", LONG.strip()),
    ],
    None: [
        (f"She were tired. {LONG}", f"She was tired. {LONG}"),
        ("short", f"short {LONG}"),
        ("it were so", "it was so"),
        ("goes", "goes goes"),
    ],
}
WHY = [(change, reason) for reason, changes in UNSEEN.items() for pair in changes for change in (pair, pair[::-1])]


@pytest.mark.parametrize("model", ["tiny_model", "language_model"])
def test_the_name_of_a_special_token_in_a_sentence_is_text(model, request):
    tokenizer = load_tokenizer(request.getfixturevalue(model))
    for name in tokenizer.all_special_tokens:
        ids = tokenizer(f"She {name} goes.", add_special_tokens=False)["input_ids"]
        assert not {*ids} & {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}


@pytest.mark.parametrize("kind", ["cross_encoder", "edit_head"])
def test_a_pair_whose_edit_the_model_cannot_see_is_left_out_where_that_is_wanted(
    tiny_model, language_model, tmp_path, kind
):
    base = uncased(tiny_model if kind == "cross_encoder" else language_model, tmp_path)
    write_json(base / "manifest.json", {"kind": kind})
    reader = reader_of(base, EncodeParams(**PARAMS))
    # an edit head reads what stands around the edit, wherever it is
    why = [None if kind == "edit_head" and reason == "truncated" else reason for _, reason in WHY]
    rows = [
        {"id": f"{row}", "before": before, "after": after, "label": row % 2}
        for row, ((before, after), _) in enumerate(WHY)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    where = tmp_path / "pairs.parquet", tmp_path / "encoded"
    figures, unseen = encode_pairs(*where, reader, parts=tmp_path / "parts", progress="train", drop_unseen=True)
    assert unseen == [{"id": f"{row}", "reason": reason} for row, reason in enumerate(why) if reason]
    seen = [row for row, reason in enumerate(why) if not reason]
    assert figures == {
        "pairs": len(WHY), "invisible": 12, "truncated": why.count("truncated"), "encoded": len(seen),
    }  # fmt: skip
    found = EncodedPairs(tmp_path / "encoded")
    read = reader.read(reader.tokenise([WHY[row][0] for row in seen], cut=True))
    assert len(found) == len(seen)
    for place, (row, item) in enumerate(zip(seen, read, strict=True)):
        assert found[place]["labels"] == row % 2
        for name, value in item.items():
            assert found[place][name] == pytest.approx(np.asarray(value), rel=2e-3, abs=2e-3), name


def test_unseen_pairs_stay_in_what_is_measured_on_and_in_training_where_that_is_wanted(tiny_model, tmp_path):
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    (tmp_path / "data/pairs").mkdir(parents=True)
    rows = [
        {"id": f"{row}", "before": before, "after": after, "label": row % 2}
        for row, (before, after) in enumerate([*CHANGES, ("it ends.", "It ends."), ("It ends.", "it ends.")])
    ]
    for split in SPLITS:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"data/pairs/{split}.parquet")
    shutil.copytree(tiny_model, tmp_path / "models/base")
    write_json(tmp_path / "models/base/manifest.json", {"kind": "cross_encoder"})
    for keep in (False, True):
        params["encode"]["keep_unseen"] = keep
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        run_stages(tmp_path, "encode_pairs")
        encoded = {split: len(EncodedPairs(tmp_path / "data/encoded" / split)) for split in SPLITS}
        assert encoded == {"train": len(CHANGES) + 2 * keep, "validation": len(rows), "test": len(rows)}
        figures = read_json(tmp_path / "metrics/encoding.json")
        assert {split: its["encoded"] for split, its in figures.items()} == encoded
        assert all(its["invisible"] == 2 for its in figures.values())
        assert pq.read_table(tmp_path / "data/encoded/unseen.parquet").to_pylist() == [
            {"split": split, "id": f"{len(CHANGES) + row}", "reason": "invisible"} for split in SPLITS for row in (0, 1)
        ]


def test_a_model_that_sees_no_edit_is_told_in_one_line(tiny_model, tmp_path):
    rows = [{"id": f"{label}", "before": "it is.", "after": "It is.", "label": label} for label in (0, 1)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    reader = PairReader(load_tokenizer(tiny_model), max_length=64)
    with pytest.raises(UserError, match=r"pairs\.parquet: of 2 pairs the base model can tell 0 from"):
        encode_pairs(
            tmp_path / "pairs.parquet", tmp_path / "encoded", reader, parts=tmp_path, progress="", drop_unseen=True
        )


@pytest.mark.parametrize(("key", "most"), [("layer", LAYERS), ("max_length", 256)])
def test_more_than_the_language_model_has_is_refused(run, key, most):
    assert len(run(**{key: most})) == len(PAIRS)
    message = f"encode.{key}: {most + 1}, where the language model has {most}; set {most} or less"
    with pytest.raises(UserError, match=f"^{message}$"):
        run(**{key: most + 1})


def test_a_base_model_that_is_missing_is_told_in_one_line(tmp_path):
    with pytest.raises(
        UserError, match=r"^\S+manifest.json: no such file; `dvc pull` fetches it, `dvc repro` makes it$"
    ):
        reader_of(tmp_path / "none", EncodeParams(**PARAMS))
