"""Pairs go out in others' formats and come back the same; what a format cannot hold is counted."""

import pytest

from fluency.cli.commands import main
from fluency.corpus.ingest import read_corpus
from fluency.corpus.rows import Row
from fluency.pairs.dataset import PAIR_SCHEMA
from fluency.sources.data import fetch_data
from fluency.utils.files import write_parquet

PAIRS = [
    ("The cat saw the cat.", "The cat saw the dog.", 1, 16, "cat", "dog"),
    ("She goes home.", "She go home.", 0, 4, "goes", "go"),
    ("It is very cold.", "It is cold.", 1, 6, "very ", ""),
]


@pytest.fixture
def pairs(tmp_path):
    """A file of pairs."""
    keys = ("before", "after", "label", "edit_start", "removed", "inserted")
    others = {"group": "g", "edit_type": "replace", "kind": "agreement", "part": "mail", "corpus": "c"}
    rows = [
        {"id": str(number), **dict(zip(keys, pair, strict=True)), "edit_end": pair[3] + len(pair[4]), **others}
        for number, pair in enumerate(PAIRS)
    ]
    write_parquet(tmp_path / "pairs.parquet", rows, PAIR_SCHEMA)
    return tmp_path / "pairs.parquet"


def read_back(file) -> list[Row]:
    rows = list(read_corpus(fetch_data(f"path:{file}"), "back"))
    assert all(isinstance(row, Row) for row in rows)
    return rows


def test_pairs_come_back_from_the_references_schema(pairs, tmp_path, capsys):
    main(["convert", str(pairs), str(tmp_path / "edits.jsonl")])
    assert capsys.readouterr().out == f"{tmp_path / 'edits.jsonl'}: 3 pairs\n"
    rows = read_back(tmp_path / "edits.jsonl")
    assert [(row.before, row.after, row.label) for row in rows] == [pair[:3] for pair in PAIRS]
    assert {row.part for row in rows} == {"mail"}


def test_corrections_come_back_from_m2(pairs, tmp_path, capsys):
    main(["convert", str(pairs), str(tmp_path / "edits.m2")])
    assert capsys.readouterr().out.endswith("edits.m2: 2 pairs\nleft out: 1 pairs, label 0, which is no correction\n")
    rows = read_back(tmp_path / "edits.m2")
    assert [(row.before, row.after) for row in rows] == [pair[:2] for pair in PAIRS if pair[2] == 1]


@pytest.mark.parametrize(
    ("made_of", "to", "message"),
    [
        ("pairs.parquet", "edits.txt", "edits.txt: its suffix tells the format"),
        ("pairs.parquet", "folder.m2", "folder.m2: a folder stands there"),
        ("other.parquet", "edits.m2", "other.parquet: it has other columns than pairs have"),
        ("absent.parquet", "edits.m2", "absent.parquet: no such file"),
    ],
)
def test_what_cannot_be_converted_is_refused_and_nothing_written(pairs, tmp_path, monkeypatch, made_of, to, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.m2").mkdir()
    write_parquet("other.parquet", [{"id": "1"}], PAIR_SCHEMA.remove(1).remove(1))
    with pytest.raises(SystemExit, match=message):
        main(["convert", made_of, to])
    assert {path.name for path in tmp_path.iterdir()} == {"folder.m2", "other.parquet", "pairs.parquet"}
