"""Every container is read, streamed, and whatever is broken in it is named with its place."""

import bz2
import csv
import gzip
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import feather

from fluency.corpus.lines import BadLine, read_lines, suffix_of
from fluency.corpus.readers import read_batches, read_records
from fluency.utils.errors import UserError

COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}
RECORDS = [{"a": 'quoted "word", comma', "b": "naïve\nplan"}, {"a": "\u2028 line", "b": "👩‍👩‍👧"}]


def written(path, records):
    kind = suffix_of(path)[1:].replace("ndjson", "jsonl")
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
        return path
    if kind == "arrow":
        table = pa.Table.from_pylist(records)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return path
    if kind == "feather":
        feather.write_feather(pa.Table.from_pylist(records), str(path))
        return path
    if kind == "jsonl":
        text = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    elif kind == "json":
        text = json.dumps(records)
    else:
        mark = "," if kind == "csv" else "\t"
        rows = [list(records[0]), *(list(record.values()) for record in records)]
        text = "\n".join(mark.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    content = text.encode()
    path.write_bytes(COMPRESS.get(path.suffix.lower(), bytes)(content))
    return path


@pytest.mark.parametrize(
    "name",
    [
        "x.parquet",
        "x.arrow",
        "x.jsonl",
        "x.json",
        "x.csv",
        "x.tsv",
        "x.JSONL",
        "x.ndjson",
        "x.jsonl.gz",
        "x.JSON.GZ",
        "x.csv.gz",
        "x.tsv.gz",
        "x.feather",
        "x.jsonl.bz2",
        "x.csv.xz",
        "x.json.zst",
    ],
)
def test_every_container_gives_the_same_records(tmp_path, name):
    content = [{"a": 'quoted "word", comma', "b": "naïve plan"}] if ".tsv" in name else RECORDS
    records = list(read_records(written(tmp_path / name, content)))
    assert [record for _, record in records] == content
    assert [line for line, _ in records] == sorted({line for line, _ in records})


def test_a_folder_written_by_datasets_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(RECORDS).save_to_disk(str(tmp_path / "saved"))
    (shard,) = (tmp_path / "saved").glob("*.arrow")
    assert [record for _, record in read_records(shard)] == RECORDS


def test_json_may_hold_its_records_in_one_key(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"version": 1, "data": [{"a": 1}, 2]}))
    assert list(read_records(tmp_path / "x.json")) == [(1, {"a": 1}), (2, BadLine("not a JSON object", "2"))]


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\n')
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfa\r\n1\r\n")
    assert [record for _, record in read_records(tmp_path / "x.jsonl")] == [{"a": 1}, {"a": 2}]
    assert [record for _, record in read_records(tmp_path / "x.csv")] == [{"a": "1"}]


def test_bad_lines_keep_their_place_and_text(tmp_path):
    lines = [b'{"a": 1}', b"{broken", b"", b"[1]", b'{"a": "\xff"}', b"[" * 100_000]
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(lines))
    found = list(read_records(tmp_path / "x.jsonl"))
    assert [line for line, _ in found] == [1, 2, 4, 5, 6]
    assert found[1][1].reason.startswith("not JSON")
    assert found[1][1].text == "{broken"
    assert found[2][1].reason == "not a JSON object"
    assert found[3][1] == BadLine("not UTF-8; invalid start byte", '{"a": "\\xff"}')
    assert found[4][1].reason.startswith("not JSON")


def test_a_line_with_too_many_or_too_few_cells_is_bad(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,4\n1\n\n1,2,3\n3,4\n")
    found = list(read_records(tmp_path / "x.csv"))
    assert [(line, isinstance(record, BadLine)) for line, record in found] == [
        (2, False), (3, True), (4, True), (6, True), (7, False),
    ]  # fmt: skip
    assert found[3][1] == BadLine("not as many cells as columns; 3 and 2", '["1", "2", "3"]')


@pytest.mark.parametrize(("suffix", "mark"), [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("cut", ["\n", "\r\n", "\n\n", "\r"])
@pytest.mark.parametrize(
    "whole", ["She go now.,She goes now.", "She go now.,She goes now.,1", "1,She go now.,She goes now."]
)
def test_no_part_of_a_row_is_a_row(tmp_path, suffix, mark, end, cut, whole):
    """A line break in a cell without quotes cuts its row, wherever it stands and however the file's lines end."""
    other, path = ["x"] * len(whole.split(",")), tmp_path / f"x{suffix}"
    for at in range(1, len(whole)):
        rows = ["a,b,c"[: 2 * len(other) - 1], *[",".join(other)] * 2, whole[:at] + cut + whole[at:]]
        path.write_bytes("".join(row + end for row in [*rows, *rows[1:3]]).replace(",", mark).encode())
        found = [[*record.values()] for _, record in read_records(path) if isinstance(record, dict)]
        assert found in ([other] * 2, [other] * 3, [other] * 4)


@pytest.mark.parametrize("half", [b" to the caf\xe9.", b" now.\rYes."])
def test_nor_is_it_where_its_other_half_is_no_line(tmp_path, half):
    (tmp_path / "x.tsv").write_bytes(b"src\ttgt\nShe go now.\tShe goes\n" + half + b"\n")
    assert all(isinstance(record, BadLine) for _, record in read_records(tmp_path / "x.tsv"))


@pytest.mark.parametrize(("suffix", "mark"), [(".csv", ","), (".tsv", "\t")])
def test_a_line_of_blanks_is_no_row(tmp_path, suffix, mark):
    path = tmp_path / f"x{suffix}"
    path.write_text("a,b\n1,2\n \n\n3,4\n  \n".replace(",", mark))
    assert [record for _, record in read_records(path)] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_a_field_may_be_of_any_length(tmp_path):
    (tmp_path / "x.csv").write_text(f"a\n{'x' * 10_000_000}\n")
    ((_, record),) = read_records(tmp_path / "x.csv")
    assert len(record["a"]) == 10_000_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b"PAR1 cut off"),
        ("x.parquet", b""),
        ("x.arrow", b"no stream"),
        ("x.csv", b'a,b\n"c,1\n'),
        ("x.csv", b'a,b\n"c"d,1\n'),
        ("x.csv", b"a,b\n\xff,1\n"),
        ("x.tsv", "a\tb\n".encode("utf-16")),
        ("x.json", b'[{"a": 1}'),
        ("x.json", b"\xff[]"),
        ("x.json", b'"text"'),
        ("x.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:-20]),
        ("x.jsonl.gz", b"not gzip"),
        ("x.jsonl.bz2", bz2.compress(b'{"a": 1}\n' * 1000)[:-20]),
        ("x.jsonl.xz", lzma.compress(b'{"a": 1}\n' * 1000)[:-20]),
        ("x.jsonl.xz", b"not xz"),
        ("x.jsonl.zst", pa.compress(b'{"a": 1}\n' * 1000, codec="zstd", asbytes=True)[:-5]),
        ("x.jsonl.zst", b"not zstd"),
        ("x.feather", b"ARROW1 cut off"),
        ("absent.jsonl", None),
        ("absent.parquet", None),
    ],
)
def test_an_unreadable_file_stops_with_one_line(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        list(read_records(tmp_path / name))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parquet_file_cut_off_anywhere_stops_with_one_line(tmp_path):
    whole = written(tmp_path / "x.parquet", RECORDS * 100).read_bytes()
    for size in range(0, len(whole), 97):
        (tmp_path / "cut.parquet").write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"cut\.parquet: cannot be read"):
            list(read_records(tmp_path / "cut.parquet"))


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1)))
def test_lines_are_read_as_they_stand(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("lines") / "x.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
    read = [line for _, line in read_lines(path)]
    assert read == [line.removeprefix("\ufeff") if at == 0 else line for at, line in enumerate(lines)]


def test_json_lists_of_splits_keep_their_split_and_others_are_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"train": [{"a": 1}], "dev": [{"a": 2}, 3]}))
    assert [record for _, record in read_records(path)] == [
        {"a": 1, "split": "train"}, {"a": 2, "split": "dev"}, BadLine("not a JSON object", "3"),
    ]  # fmt: skip
    path.write_text(json.dumps({"names": [0, 1], "data": [{"a": 1}]}))
    assert [record for _, record in read_records(path)] == [{"a": 1}]
    path.write_text(json.dumps({"one": [{"a": 1}], "two": [{"a": 2}]}))
    with pytest.raises(UserError, match=r"one list of records is needed.*lists found: one, two"):
        list(read_records(path))


def test_json_lines_are_read_under_the_name_of_json(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1}\n{"a": 2}\n')
    assert [record for _, record in read_records(tmp_path / "x.json")] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("line", "cell"),
    [
        ('"A b\t1', '"A b'),
        ('x "\t1', 'x "'),
        ('"Hi" he said\t1', '"Hi" he said'),
        ('"Hi."\t1', '"Hi."'),
        ('He said "hi".\t1', 'He said "hi".'),
        ('"\t1', '"'),
        ('""\t1', '""'),
        ('"He said ""hi""."\t1', 'He said "hi".'),  # as a tool quotes it
    ],
)
def test_the_quotes_of_a_table_without_quoting_are_text(tmp_path, line, cell):
    (tmp_path / "x.tsv").write_text(f"a\tb\n{line}\nlast\t2\n")
    assert list(read_records(tmp_path / "x.tsv")) == [(2, {"a": cell, "b": "1"}), (3, {"a": "last", "b": "2"})]


def test_what_a_tool_quotes_in_a_tsv_file_reads_back_or_is_rejected(tmp_path):
    """Its cells may have line breaks and tabs, and a row of a TSV file is a line."""
    cells = ["plain", 'a "quote"', '"all"', "a\ttab", "two\nlines", "three\nshort\nlines", "last"]
    with (tmp_path / "x.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([("a", "b"), *((cell, "1") for cell in cells)])
    found = [record for _, record in read_records(tmp_path / "x.tsv")]
    assert [record["a"] for record in found if isinstance(record, dict)] == [*cells[:3], "last"]
    assert sum(isinstance(record, BadLine) for record in found) == 1 + 2 + 3


def test_broken_quoting_is_told_with_its_tab(tmp_path):
    (tmp_path / "x.tsv").write_text('"a"\t"b"\n"Hi" he said\t1\n')
    with pytest.raises(UserError, match=r"x\.tsv: line 2: broken quoting \('\\t' expected"):
        list(read_records(tmp_path / "x.tsv"))


def test_a_number_of_any_length_spoils_one_line_only(tmp_path):
    (tmp_path / "x.jsonl").write_text(f'{{"a": 1}}\n{{"a": {"9" * 5000}}}\n{{"a": 2}}\n')
    found = [record for _, record in read_records(tmp_path / "x.jsonl")]
    assert found[0] == {"a": 1} and found[2] == {"a": 2}  # noqa: PT018
    assert found[1].reason.startswith("not JSON; Exceeds the limit")


def test_times_are_read_as_text(tmp_path):
    when = pa.array([0, None, 2**60], pa.timestamp("us"))  # the last is no moment that Python knows
    pq.write_table(pa.table({"when": when, "day": pa.array([1, 2, 3], pa.date32())}), tmp_path / "x.parquet")
    first, second, third = (record for _, record in read_records(tmp_path / "x.parquet"))
    assert first == {"when": "1970-01-01 00:00:00.000000", "day": "1970-01-02"}
    assert second["when"] is None
    assert str(2**60) in third["when"]


def test_times_out_of_range_are_read_as_text_at_any_depth(tmp_path):
    moment, far = pa.timestamp("us"), 2**60
    columns = {
        "struct": ({"at": far}, pa.struct([("at", moment)])),
        "list": ([far], pa.list_(moment)),
        "large": ([{"at": far}], pa.large_list(pa.struct([("at", moment)]))),
        "map": ([("at", far)], pa.map_(pa.string(), moment)),
        "fixed": ([far], pa.list_(moment, 1)),
    }
    table = pa.table({name: pa.array([value, None], kind) for name, (value, kind) in columns.items()})
    pq.write_table(table, tmp_path / "x.parquet")
    (_, first), (_, second) = read_records(tmp_path / "x.parquet")
    assert all(str(far) in str(first[name]) for name in columns)
    assert set(second.values()) == {None}


def test_a_struct_with_two_fields_of_one_name_stops_with_one_line(tmp_path):
    twice = pa.struct([("n", pa.int64()), ("n", pa.int64())])
    feather.write_feather(pa.table({"a": pa.array([(1, 2)], twice)}), str(tmp_path / "x.feather"))
    with pytest.raises(UserError, match=r"x\.feather: cannot be read \(.*duplicate field names"):
        list(read_records(tmp_path / "x.feather"))


def test_one_record_may_be_a_whole_json_file(tmp_path):
    for record in ({"a": "x", "b": 1}, {"a": "x", "b": ["y", "z"]}):
        (tmp_path / "x.json").write_text(json.dumps(record, indent=1))
        assert list(read_records(tmp_path / "x.json")) == [(1, record)]


def test_a_large_row_group_is_not_read_at_once(tmp_path):
    rows = [f"{row:01000}" for row in range(50_000)]
    pq.write_table(pa.table({"a": rows}), tmp_path / "x.parquet", compression="none", use_dictionary=False)
    before = pa.total_allocated_bytes()
    held = max(pa.total_allocated_bytes() - before for _ in read_batches(tmp_path / "x.parquet"))
    assert pq.read_metadata(tmp_path / "x.parquet").num_row_groups == 1
    assert held < 10_000_000


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "x.csv").write_text("a,b,a\n1,2,3\n")
    with pytest.raises(UserError, match=r"x\.csv: two columns are called 'a'; rename one"):
        list(read_records(tmp_path / "x.csv"))
