"""No label is inverted or guessed: what says its meaning decides, and what nothing explains is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fluency.corpus.ingest import read_corpus
from fluency.corpus.labels import Labels
from fluency.corpus.rows import Row
from fluency.sources.data import Source, fetch_data
from fluency.utils.errors import UserError

GOOD = {"before": "Box 0 are full.", "after": "Box 0 is full."}
BAD = {"before": "Box 0 is full.", "after": "Box 0 are full."}
LABELS = Labels(Path("x.jsonl"))


def labels(path, **settings):
    items = read_corpus(fetch_data(replace(Source(path=str(path)), **settings)), "mine")
    return [item.label if isinstance(item, Row) else item.reason for item in items]


def write_jsonl(path, *values):
    path.write_text("".join(json.dumps(GOOD | {"label": value}) + "\n" for value in values))
    return path


@pytest.mark.parametrize("value", [1, 1.0, True, "1", "1.0", "true", "True", "fluent", "Acceptable", "CORRECT"])
def test_values_that_say_fluent(value):
    assert LABELS("label", value) == 1


@pytest.mark.parametrize(
    "value", [0, -0.0, False, "0", "false", "non-fluent", "Nonfluent", "not fluent", "unacceptable", "incorrect"]
)
def test_values_that_say_not_fluent(value):
    assert LABELS("label", value) == 0


@pytest.mark.parametrize("value", [None, "", " ", "nan", "NaN", float("nan"), [1], {"label": 1}, b"1"])
def test_a_row_without_a_label_is_rejected(value):
    for its in (LABELS, replace(LABELS, threshold=3.0)):
        with pytest.raises(ValueError, match="label: neither 0 nor 1; found"):
            its("label", value)


def hub_files(folder, names):
    """The same rows of a categorical column, in each container that `datasets` writes."""
    datasets = pytest.importorskip("datasets")
    rows = [GOOD | {"label": names[0]}, BAD | {"label": names[1]}]
    data = datasets.Dataset.from_list(rows).class_encode_column("label")
    data.to_parquet(str(folder / "parquet/x.parquet"))
    data.save_to_disk(str(folder / "saved"))
    return [folder / "parquet/x.parquet", folder / "saved"]


@pytest.mark.parametrize("names", [("correct", "incorrect"), ("acceptable", "unacceptable"), ("fluent", "non-fluent")])
def test_the_names_of_classes_decide_whatever_their_order(tmp_path, names):
    """`datasets` numbers them by the alphabet, so `correct` is 0."""
    (tmp_path / "parquet").mkdir()
    for path in hub_files(tmp_path, names):
        assert labels(path) == [1, 0]


def test_names_of_classes_that_say_nothing_are_refused_or_explained(tmp_path):
    (tmp_path / "parquet").mkdir()
    for path in hub_files(tmp_path, ("equivalent", "other")):
        with pytest.raises(UserError, match=r"label: nothing says what 'equivalent' means; give the source its labels"):
            labels(path)
        assert labels(path, labels={"equivalent": 1, "other": 0}) == [1, 0]


INFO = {"features": {"label": {"names": ["good", "bad"], "_type": "ClassLabel"}, "before": {"dtype": "string"}}}
CARD = """---
dataset_info:
  features:
  - {name: before, dtype: string}
  - name: label
    dtype:
      class_label:
        names:
          '0': good
          '1': bad
---
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset_info.json", json.dumps(INFO)),
        ("dataset_infos.json", json.dumps({"default": INFO})),
        ("README.md", CARD),
    ],
)
def test_names_of_classes_may_stand_beside_the_file(tmp_path, name, content):
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/x.jsonl", 0, 1)
    assert labels(tmp_path) == [0, 1]
    (tmp_path / name).write_text(content)
    write_jsonl(tmp_path / "data/x.jsonl", 0, 1, -1)
    assert labels(tmp_path) == [1, 0, "label: neither 0 nor 1; found none"]
    write_jsonl(tmp_path / "data/x.jsonl", "0", "1", "0.0", "bad")  # as CSV has them
    assert labels(tmp_path) == [1, 0, 1, 0]
    write_jsonl(tmp_path / "data/x.jsonl", 0, 2)
    with pytest.raises(UserError, match="label: 2 is no class of good, bad"):
        labels(tmp_path)


@pytest.mark.parametrize("name", ["README.md", "dataset_infos.json", "dataset_info.json"])
@pytest.mark.parametrize("part", ["", "clone", "clone/data/en", "clone/data/en/x.jsonl"])
def test_names_of_classes_count_for_any_part_of_a_data_set_and_within_a_folder_of_some(tmp_path, name, part):
    (tmp_path / "clone/data/en").mkdir(parents=True)
    write_jsonl(tmp_path / "clone/data/en/x.jsonl", 0, 1)
    content = {"README.md": CARD, "dataset_infos.json": json.dumps({"default": INFO})}.get(name, json.dumps(INFO))
    (tmp_path / "clone" / name).write_text(content)
    assert labels(tmp_path / part) == [1, 0]


TEXT = {"dtype": "string", "_type": "Value"}


@pytest.mark.parametrize(
    "names",
    [
        TEXT,
        {"feature": TEXT, "_type": "List"},
        [TEXT],
        {"first": TEXT, "last": TEXT},
        {"names": ["bad", "good"], "_type": "ClassLabel"},
    ],
)
def test_a_field_of_any_name_and_type_leaves_the_classes_as_they_are(tmp_path, names):
    """`names`, say, of a column beside the label: in the Parquet file itself, or in a description beside it."""
    features = INFO["features"] | {"by": {"names": names}, "of": {"class_label": names, "dtype": TEXT}}
    write_jsonl(tmp_path / "x.jsonl", 0, 1)
    (tmp_path / "dataset_info.json").write_text(json.dumps({"features": features}))
    table = pa.Table.from_pylist([GOOD | {"label": label} for label in (0, 1)])
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "y.parquet")
    assert labels(tmp_path / "x.jsonl") == labels(tmp_path / "y.parquet") == [1, 0]


def test_a_card_that_leaves_out_a_number_of_a_class_is_refused(tmp_path):
    for number in ("2", "first"):
        (tmp_path / "README.md").write_text(CARD.replace("'1'", repr(number)))
        with pytest.raises(UserError, match="the card does not number the classes of 'label' from 0; mend it"):
            labels(write_jsonl(tmp_path / "x.jsonl", 0, 1))


def test_other_names_in_each_configuration_are_refused(tmp_path):
    write_jsonl(tmp_path / "x.jsonl", 0)
    other = {"features": {"label": {"names": ["bad", "good"]}}}
    (tmp_path / "dataset_infos.json").write_text(json.dumps({"a": INFO, "b": other}))
    with pytest.raises(UserError, match="has other labels in each of its configurations"):
        labels(tmp_path)


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 1, 0.5), ("1", "0", "4"), (1, -1), ("yes", "no"), (0, "unsure")])
def test_a_column_of_other_values_than_two_is_refused_as_a_whole(tmp_path, values):
    path = write_jsonl(tmp_path / "x.jsonl", *values)
    with pytest.raises(UserError, match=r"x\.jsonl: label: nothing says what .*labels: \{.*threshold: NUMBER"):
        labels(path)


def test_a_map_or_a_threshold_says_what_values_mean(tmp_path):
    path = write_jsonl(tmp_path / "x.jsonl", 0, 1, 2, "3", 4.0, 2.5)
    assert labels(path, threshold=2.5) == [0, 0, 0, 1, 1, 1]
    path = write_jsonl(tmp_path / "x.jsonl", 1, "2.0", "Don't know", True)
    meant = {"1": 0, "2": 1, "don't  know": None, "True": 1}
    assert labels(path, labels=meant) == [0, 1, "label: left out by the source's labels; found \"Don't know\"", 1]
    with pytest.raises(UserError, match="nothing says what 0 means"):  # a map says all
        labels(write_jsonl(tmp_path / "x.jsonl", 0), labels=meant)


@pytest.mark.parametrize("value", ["1_", "- 1", "_0", "0 0"])
def test_what_is_nearly_a_number_is_none(tmp_path, value):
    with pytest.raises(UserError, match=r"label: nothing says what .* means"):
        labels(write_jsonl(tmp_path / "x.jsonl", value))
    with pytest.raises(UserError, match=r"label: nothing says what .* means"):
        labels(write_jsonl(tmp_path / "x.jsonl", value), labels={"1": 1, "0": 0, "00": 0})


@pytest.mark.parametrize("value", ["1_0", "Infinity", "-inf", "nan?", "1e999", True])
def test_what_is_no_number_reaches_no_threshold(tmp_path, value):
    with pytest.raises(UserError, match=r"label: nothing says what .* means"):
        labels(write_jsonl(tmp_path / "x.jsonl", value), threshold=2.5)


def test_columns_of_any_name_are_read_by_a_map(tmp_path):
    record = {"src": "She go.", "hyp": "She goes.", "by": {"people": "bad"}, "label": 7}
    (tmp_path / "x.jsonl").write_text(json.dumps(record))
    columns = {"before": "src", "after": "hyp", "label": "by.people"}
    assert labels(tmp_path, columns=columns) == [0]
    for ours in ("after", "kind", "split"):
        with pytest.raises(UserError, match=r"x\.jsonl: it has no column 'absent', which the source's columns name"):
            labels(tmp_path, columns=columns | {ours: "absent"})


def test_a_label_in_a_list_of_records_counts_where_they_agree(tmp_path):
    """As labelling tools have what each annotator says."""
    said = [[{"label": 0}], [{"label": 1}, {"label": 1}], [{"label": 0}, {"label": 1}], []]
    rows = ({"src": "She go.", "tgt": "She goes.", "annotations": its} for its in said)
    (tmp_path / "x.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    unclear = [f"label: neither 0 nor 1; found {found}" for found in ("[0, 1]", "None")]
    assert labels(tmp_path, columns={"label": "annotations.label"}) == [0, 1, *unclear]


def test_a_label_beside_source_and_target_counts(tmp_path):
    """A table of judged edits is not one of corrections."""
    for source, target in (("src", "tgt"), ("sentence1", "sentence2"), ("input", "output")):
        (tmp_path / "x.jsonl").write_text(json.dumps({source: "She goes.", target: "She go.", "label": 0}))
        assert labels(tmp_path) == [0]
