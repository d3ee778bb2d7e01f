"""Every row is read or rejected with its reason and place."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fluency.corpora import read_corpus, split_of
from fluency.errors import UserError
from fluency.sources import fetch_data

REFERENCE = {
    "original_sentence": "It is a test in the inn.",
    "inappropriate_part": "in",
    "rewritten_part": "at",
    "expected_score": 1.0,
}


def read(path):
    return read_corpus(fetch_data(f"path:{path}"), "mine")


def test_sample_lines(tmp_path, monkeypatch):
    folder = tmp_path / "data/sample/hand-written"
    folder.mkdir(parents=True)
    (folder / "mail.txt").write_text(
        "# a comment\n\nAll is well.\n- agreement: All [is|are] well here.\n"
        "= omission: It is [very |]cold.\nbad [line\n"
    )
    monkeypatch.chdir(tmp_path)
    rows, rejected = read_corpus(fetch_data("sample"), "sample")
    assert [(row.relation, row.before, row.after, row.line) for row in rows] == [
        ("sentence", "All is well.", None, 3),
        ("correction", "All are well here.", "All is well here.", 4),
        ("rewrite", "It is very cold.", "It is cold.", 5),
    ]
    assert {row.part for row in rows} == {"hand-written"}
    assert [(item.line, item.row) for item in rejected] == [(6, "bad [line")]


def test_the_reference_schema_takes_whole_words(tmp_path):
    (tmp_path / "train.jsonl").write_text(json.dumps(REFERENCE) + "\n")
    rows, _ = read(tmp_path)
    assert (rows[0].after, rows[0].start, rows[0].label, rows[0].split) == ("It is a test at the inn.", 13, 1, "train")


def test_an_ambiguous_edit_takes_the_place_its_reverse_confirms(tmp_path):
    there = {"original_sentence": "A b A.", "inappropriate_part": "A", "rewritten_part": "C", "expected_score": 0}
    back = {"original_sentence": "A b C.", "inappropriate_part": "C", "rewritten_part": "A", "expected_score": 1}
    alone = there | {"original_sentence": "A d A."}
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, (there, back, alone))))
    rows, _ = read(tmp_path / "rows.jsonl")
    assert [row.after for row in rows] == ["A b C.", "A b A.", "C d A."]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"expected_score": 0.5}, "label 0.5 is neither 0 nor 1"),
        ({"expected_score": "yes"}, "label 'yes' is neither 0 nor 1"),
        ({"expected_score": None}, "label None is neither 0 nor 1"),
        ({"inappropriate_part": "absent"}, "inappropriate_part 'absent' does not occur in the sentence"),
        ({"inappropriate_part": ""}, "inappropriate_part: empty"),
        ({"original_sentence": " "}, "original_sentence: empty"),
        ({"original_sentence": 7}, "original_sentence: expected text, found 7"),
    ],
)
def test_unusable_rows_are_rejected_with_their_place(tmp_path, change, reason):
    lines = [json.dumps(REFERENCE), json.dumps(REFERENCE | change), "{broken", "[1]"]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    rows, rejected = read(tmp_path)
    assert len(rows) == 1
    assert [(item.file, item.line) for item in rejected] == [("train.jsonl", line) for line in (2, 3, 4)]
    assert reason in rejected[0].reason
    assert rejected[1].row == "{broken"


@pytest.mark.parametrize("columns", [("before", "after", "label"), ("text1", "text2", "label")])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_labelled_pairs_in_every_container(tmp_path, columns, suffix):
    records = [('He go, "now".', 'He goes, "now".', 1), ("A naïve\nplan.", "An naïve\nplan.", 0)]
    path = tmp_path / f"dev.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist([dict(zip(columns, r, strict=True)) for r in records]), path)
    elif suffix == "jsonl":
        path.write_text("\n".join(json.dumps(dict(zip(columns, r, strict=True))) for r in records))
    else:
        mark = "," if suffix == "csv" else "\t"
        quoted = [mark.join('"' + str(cell).replace('"', '""') + '"' for cell in r) for r in [columns, *records]]
        path.write_text("\n".join(quoted))
    rows, rejected = read(path)
    assert rejected == []
    assert [(row.before, row.after, row.label, row.split) for row in rows] == [(*r, "validation") for r in records]


def test_unknown_columns_are_named(tmp_path):
    (tmp_path / "x.csv").write_text("before,label\na,1\n")
    with pytest.raises(UserError, match=r"x\.csv: no known format in its columns \(before, label\); one of"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b"PAR1 cut off"),
        ("x.csv", b'before,after,label\n"a,b,1\n'),
        ("x.csv", b"before,after,label\n\xff,b,1\n"),
        ("x.jsonl", b""),
    ],
)
def test_unreadable_files_stop_with_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        read(tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.parquet", "train"),
        ("data/train-00000-of-00001.parquet", "train"),
        ("dev.jsonl", "validation"),
        ("valid/part.csv", "validation"),
        ("test.tsv", "test"),
        ("contest.tsv", None),
    ],
)
def test_splits_are_told_by_the_file_name(name, split):
    assert split_of(name) == split
