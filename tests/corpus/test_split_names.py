"""Held-out data is never trained on: what names say of a split, and what is refused."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluency.corpus.ingest import read_corpus
from fluency.corpus.rows import Row
from fluency.corpus.split_names import split_of_path
from fluency.sources.data import Source, fetch_data
from fluency.utils.errors import UserError


def write(root, *names):
    """Files of one row each, that says where it stands."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"before": f"It are in {name}.", "after": f"It is in {name}.", "label": 1}) + "\n")


def splits(root, **settings):
    rows = read_corpus(fetch_data(replace(Source(path=str(root)), **settings)), "mine")
    return {row.file: row.split for row in rows if isinstance(row, Row)}


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.parquet", "train"),
        ("data/train-00000-of-00001.parquet", "train"),
        ("train1.jsonl", "train"),
        ("dev.jsonl", "validation"),
        ("dev02.jsonl", "validation"),
        ("ABCN.dev.gold.bea19.m2", "validation"),
        ("development.jsonl", "validation"),
        ("valid/part.csv", "validation"),
        ("test.tsv", "test"),
        ("test2014.jsonl", "test"),
        ("testing.jsonl", "test"),
        ("eval.jsonl", "test"),
        ("evaluation_0.jsonl", "test"),
        ("data/eval-00000-of-00002.parquet", "test"),
        ("split=test/part-0.parquet", "test"),
        ("held-out.jsonl", "test"),
        ("held_out/x.jsonl", "test"),
        ("heldout.jsonl", "test"),
        ("flores.devtest.jsonl", "test"),
        ("TestSet.jsonl", "test"),
        ("JFLEGtest.jsonl", "test"),
        ("contest.tsv", None),
        ("Oval.jsonl", None),
        ("latest.jsonl", None),
        ("train/test/part-0.jsonl", "test"),
        ("train_test_split/train.jsonl", "train"),
    ],
)
def test_splits_are_told_by_the_file_name_then_by_its_folder(name, split):
    assert split_of_path(name) == split


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("test-suite/train.jsonl", "says train, its folder 'test-suite' does not"),
        ("train_dev.jsonl", "stands for train and validation"),
        ("gectest.jsonl", "'gectest' in its name may say that it is held out"),
    ],
)
def test_names_that_say_two_things_are_refused(tmp_path, name, why):
    write(tmp_path, name)
    with pytest.raises(
        UserError, match=rf"data\.source: \S+/{name}: .*{why}.*; say it yourself: .*split: train, valid"
    ):
        splits(tmp_path)
    assert splits(tmp_path, split="test") == {name: "test"}


def test_a_name_of_no_split_beside_others_is_refused(tmp_path):
    write(tmp_path, "train.jsonl", "gold.jsonl")
    with pytest.raises(UserError, match=r"gold\.jsonl: its name says no split, where that of train\.jsonl does"):
        splits(tmp_path)
    assert splits(tmp_path, files="train*") == {"train.jsonl": "train"}
    write(tmp_path, "gold.jsonl")
    row = {"before": "a b", "after": "a c", "label": 1, "split": "dev"}
    (tmp_path / "gold.jsonl").write_text(json.dumps(row))  # the rows may say it
    assert splits(tmp_path) == {"gold.jsonl": "validation", "train.jsonl": "train"}


WORDS = [
    "test",
    "TEST",
    "Test",
    "testing",
    "dev",
    "eval",
    "evaluation",
    "heldout",
    "held-out",
    "held_out",
    "validation",
]
NAMES = st.sampled_from(["part", "en", "gec", "wi+locness", "data", "train", "bea", "v2", "", "x"])
MARKS = st.sampled_from([".", "-", "_", " ", "="])
FILES = st.builds(
    lambda folder, head, mark, word, number, other, tail: (
        f"{folder}{head}{mark if head else ''}{word}{number}{other + tail if tail else ''}.jsonl"
    ),
    st.sampled_from(["", "data/", "train/", "split=train/", "training/en/"]),
    NAMES,
    MARKS,
    st.sampled_from(WORDS),
    st.sampled_from(["", "0", "2014", "-00000-of-00002"]),
    MARKS,
    NAMES,
)


@given(st.lists(FILES, min_size=1, max_size=3, unique_by=str.lower), st.booleans())
def test_no_row_of_a_file_whose_name_says_that_it_is_held_out_is_for_training(tmp_path_factory, names, beside):
    root = tmp_path_factory.mktemp("names")
    write(root, *names, *(["train/a.jsonl"] if beside else []))
    try:
        found = splits(root)
    except UserError as error:
        if "say it yourself" not in str(error):
            raise
        return
    assert found.keys() >= {*names}
    assert all(found[name] in ("validation", "test") for name in names)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("test/x.jsonl", "test"),
        ("test/train.jsonl", "says train, its folder 'test' does not"),
        ("test/gectest.jsonl", "test"),
        ("bea19-dev/x.jsonl", "validation"),
        ("bea19-dev/train.jsonl", "says train, its folder '.*dev' does not"),
        ("Dev02_v2/x.jsonl", "validation"),
        ("jfleg_held-out/x.jsonl", "test"),
        ("JFLEGtest/x.jsonl", "test"),
        ("gectest/x.jsonl", "'gectest' in its name may say that it is held out"),
        ("bea19-train/x.jsonl", "train"),
        ("testimony/x.jsonl", None),
    ],
)
def test_a_folder_that_is_named_counts_as_it_does_within_another(tmp_path, name, split):
    write(tmp_path / "bench", name)
    file = tmp_path / "bench" / name
    for path in (tmp_path / "bench", file.parent, file):
        if split in (None, "train", "validation", "test"):
            assert [*splits(path).values()] == [split]
        else:
            with pytest.raises(UserError, match=split):
                splits(path)


def test_of_a_folder_that_is_named_the_end_of_its_name_counts(tmp_path):
    """It may be called for what a user tries there."""
    write(tmp_path, "test_my_idea/x.jsonl", "eval-run2/train.jsonl")
    assert splits(tmp_path / "test_my_idea") == {"x.jsonl": None}
    assert splits(tmp_path / "eval-run2") == {"train.jsonl": "train"}


def test_a_row_that_says_train_in_a_file_of_held_out_rows_is_rejected(tmp_path):
    row = {"before": "a b", "after": "a c", "label": 1}
    (tmp_path / "test.jsonl").write_text("\n".join(json.dumps(row | {"split": name}) for name in ("train", "dev", "")))
    items = list(read_corpus(fetch_data(f"path:{tmp_path}"), "mine"))
    assert [item.split if isinstance(item, Row) else item.reason for item in items] == [
        "split: train, but the file's name says test", "validation", "test",
    ]  # fmt: skip


def test_a_source_says_the_split_of_all_its_rows(tmp_path):
    write(tmp_path, "dev.jsonl", "x.jsonl")
    (tmp_path / "dev.jsonl").write_text(json.dumps({"before": "a b", "after": "a c", "label": 1, "split": "test"}))
    for split, told in [("train", "train"), ("validation", "validation"), ("cut", None)]:
        fetched = fetch_data(Source(path=str(tmp_path), split=split))
        rows = list(read_corpus(fetched, "mine"))
        assert {row.split for row in rows} == {told}


def test_a_card_says_which_files_are_which_split(tmp_path):
    card = "configs:\n- config_name: default\n  data_files:\n  - {split: train, path: 'a/*.jsonl'}\n"
    write(tmp_path, "a/1.jsonl", "b/eval.jsonl", "c/test.jsonl", "c/train.jsonl")
    (tmp_path / "README.md").write_text(
        f"---\n{card}  - split: test\n    path: [b/eval.jsonl, 'c/t*t.jsonl']\n---\n# It\n"
    )
    assert splits(tmp_path) == {"a/1.jsonl": "train", "b/eval.jsonl": "test", "c/test.jsonl": "test"}
    assert fetch_data(f"path:{tmp_path}").ignored == ("c/train.jsonl",)
    (tmp_path / "README.md").write_text(f"---\n{card}  - {{split: gold, path: b/eval.jsonl}}\n---\n")
    with pytest.raises(UserError, match=r"b/eval\.jsonl: its name says no split, where that of a/1\.jsonl does"):
        splits(tmp_path)
    (tmp_path / "README.md").write_text(f"---\n{card}  - {{split: test, path: d.jsonl}}\n---\n")
    with pytest.raises(UserError, match=r"README\.md: configs: 'd\.jsonl' is no file here that can be read"):
        splits(tmp_path)


@pytest.mark.parametrize("files", ["'*.jsonl'", "['train.jsonl', test.jsonl]"])
def test_files_of_a_card_without_splits_are_told_by_their_names(tmp_path, files):
    write(tmp_path, "train.jsonl", "test.jsonl")
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files: {files}\n---\n")
    assert splits(tmp_path) == {"train.jsonl": "train", "test.jsonl": "test"}


def test_of_several_configurations_one_is_named(tmp_path):
    write(tmp_path, "en/train.jsonl", "de/train.jsonl")
    configs = "".join(f"- {{config_name: {name}, data_dir: {name}}}\n" for name in ("en", "de"))
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    with pytest.raises(UserError, match=r"has the configurations en, de; name one: \{path: \.\.\., files: GLOB\}"):
        splits(tmp_path)
    assert splits(tmp_path, files="en/*") == {"en/train.jsonl": "train"}
