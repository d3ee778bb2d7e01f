"""What people really have: each file is read as what it is, or refused in one line; nothing is guessed or cut."""

import bz2
import csv
import gzip
import json
import lzma
import re
import tarfile
import zipfile
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from fluency.corpus.ingest import read_corpus
from fluency.corpus.rows import Row
from fluency.sources.data import Source, fetch_data
from fluency.utils.errors import UserError

BEFORE, AFTER = "She go, now.", "She goes, now."
GOOD = {"before": BEFORE, "after": AFTER, "label": 1}
BAD = {"before": AFTER, "after": BEFORE, "label": 0}


def items(path, **settings):
    return list(read_corpus(fetch_data(replace(Source(path=str(path)), **settings)), "mine"))


def rows(path, **settings):
    return [item for item in items(path, **settings) if isinstance(item, Row)]


def edits(path, **settings):
    return [(row.before, row.after, row.label) for row in rows(path, **settings)]


def reasons(path, **settings):
    return [item.reason for item in items(path, **settings) if not isinstance(item, Row)]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write_jsonl(path, *records):
    return write(path, "".join(json.dumps(record) + "\n" for record in records))


# Tables of one kind under the name of another.


@pytest.mark.parametrize(
    ("name", "mark"), [("x.csv", ";"), ("x.csv", "\t"), ("x.csv", "|"), ("x.tsv", ","), ("x.tsv", ";"), ("x.csv", ",")]
)
def test_the_header_tells_what_stands_between_cells(tmp_path, name, mark):
    with (tmp_path / name).open("w", newline="") as file:
        csv.writer(file, delimiter=mark).writerows([[*GOOD], [*GOOD.values()], [*BAD.values()]])
    assert edits(tmp_path) == [tuple(GOOD.values()), tuple(BAD.values())]
    assert reasons(tmp_path) == []


LINES = "before,after,label\nShe go.,She goes.,1\n"


def binary(kind):
    """A table in one of pyarrow's own formats, whatever the content."""

    def made(_):
        table, sink = pa.Table.from_pylist([GOOD]), pa.BufferOutputStream()
        if kind == "stream":
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
        else:
            (pq.write_table if kind == "parquet" else feather.write_feather)(table, sink)
        return sink.getvalue().to_pybytes()

    return made


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.json", "x.jsonl", "x.m2", "x.src", "x.csv.gz", "x.json.gz"])
@pytest.mark.parametrize(
    ("made", "what"),
    [
        (lambda content: content.decode().encode("utf-16"), "UTF-16; save it as UTF-8"),
        (gzip.compress, "compressed; let its name end in .gz"),
        (bz2.compress, "compressed; let its name end in .bz2"),
        (lzma.compress, "compressed; let its name end in .xz"),
        (partial(pa.compress, codec="zstd", asbytes=True), "compressed; let its name end in .zst"),
        (binary("parquet"), "Parquet; let its name end in .parquet"),
        (binary("feather"), "Arrow; let its name end in .arrow"),
        (binary("stream"), "Arrow; let its name end in .arrow"),
        (lambda content: b"PK\x03\x04 and more", "a zip archive; unpack it"),
        (lambda content: b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
        (lambda content: b"Rar!\x1a\x07\x00", "a rar archive; unpack it"),
    ],
)
def test_what_is_no_text_is_told_by_how_it_begins(tmp_path, name, made, what):
    content = made(LINES.encode())
    if name.endswith(".gz"):
        content, what = gzip.compress(content), re.sub("compressed; .*", "compressed again; decompress it once", what)
    write(tmp_path / "x.tgt", "A .\n")
    with pytest.raises(UserError, match=f"{name}: it is {what}"):
        items(write(tmp_path / name, content))


def test_a_text_may_begin_as_the_name_of_a_container_does(tmp_path):
    for word in ("PAR1", "ARROW1", "BZh9", "PK", "7z", "Rar!"):
        write(tmp_path / "x.src", f"{word} are it .\n")
        write(tmp_path / "x.tgt", f"{word} is it .\n")
        assert edits(tmp_path) == [(f"{word} are it .", f"{word} is it .", None)]


def test_an_archive_is_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("train.jsonl.gz", gzip.compress(json.dumps(GOOD).encode()))
    with tarfile.open(tmp_path / "data.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "data.zip", "train.zip")
    for name in ("data.zip", "data.tar.gz"):
        with pytest.raises(UserError, match=rf"{name} is an archive; unpack it"):
            items(tmp_path / name)
    write(tmp_path / "README.md", "# It\n")
    with pytest.raises(UserError, match=r"\); unpack data\.tar\.gz, data\.zip$"):
        items(tmp_path)
    for name in ("data.zip", "data.tar.gz"):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match=r"plain text such as \.src and \.tgt\)$"):
        items(tmp_path)


# Ends of lines.


def test_a_carriage_return_cuts_no_sentence_of_a_csv_file(tmp_path):
    """In a cell without quotes it would end a row: `now.` and its correction would be one of their own."""
    bare = b"before,after,label\nShe go\rnow.,She goes now.,1\na b,a c,1\n"
    assert edits(write(tmp_path / "x.csv", bare)) == [("a b", "a c", 1)]
    assert [item.line for item in items(tmp_path) if not isinstance(item, Row)] == [2, 3]
    quoted = b'before,after,label\n"She go\rnow.","She goes\rnow.",1\n'
    assert edits(write(tmp_path / "x.csv", quoted)) == [("She go\rnow.", "She goes\rnow.", 1)]
    assert edits(write(tmp_path / "x.csv", b"before,after,label\ra b,a c,1\rd e,d f,0")) == [
        ("a b", "a c", 1), ("d e", "d f", 0),
    ]  # fmt: skip
    assert edits(write(tmp_path / "x.csv", b"before,after,label\r\r\na b,a c,1\r\r\n")) == [("a b", "a c", 1)]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"x.tsv": b"before\tafter\tlabel\ra b\ta c\t1\r"}, "line 1: a carriage return inside the line; save it as"),
        ({"x.m2": b"S She go .\rA 1 2|||R:VERB|||goes|||REQUIRED|||-NONE-|||0\r"}, "line 1: a carriage return"),
        ({"x.jsonl": b'{"before": "a b"}\r{"before": "c d"}\r'}, r"its first line: a carriage return"),
    ],
)
def test_old_ends_of_lines_lose_no_row_in_silence(tmp_path, files, told):
    for name, content in files.items():
        write(tmp_path / name, content)
    with pytest.raises(UserError, match=told):
        items(tmp_path)


def test_a_carriage_return_joins_no_sentences_of_plain_text(tmp_path):
    write(tmp_path / "x.src", b"She go .\rHe go .\nIt go .\r\n")
    write(tmp_path / "x.tgt", b"She goes .\rHe goes .\nIt goes .\n")
    assert edits(tmp_path) == [("It go .", "It goes .", None)]
    assert reasons(tmp_path) == ["a carriage return inside the line"]


# What else may say the split.


@pytest.mark.parametrize("name", ["set", "partition", "Split", "subset", "source", "meta.split"])
def test_a_column_of_nothing_but_splits_says_the_split(tmp_path, name):
    def said(value):
        outer, _, inner = name.partition(".")
        return {outer: {inner: value} if inner else value}

    values = ["train"] * 150 + ["test", "Dev", "gold", ""]
    write_jsonl(tmp_path / "x.jsonl", *(GOOD | said(value) for value in values))
    assert [row.split for row in rows(tmp_path)][148:] == ["train", "train", "test", "validation", None]
    assert reasons(tmp_path) == ["split: neither train, validation nor test; found 'gold'"]
    assert {row.split for row in rows(tmp_path, split="train")} == {"train"}


def test_two_columns_of_splits_are_refused_until_one_is_named(tmp_path):
    write_jsonl(tmp_path / "x.jsonl", GOOD | {"set": "train", "part_of": "test", "kind": "train and test"})
    with pytest.raises(UserError, match=r"a column may say the split \(set, part_of\); .*columns: \{split: set\}"):
        items(tmp_path)
    assert [row.split for row in rows(tmp_path, columns={"split": "part_of"})] == ["test"]


@pytest.mark.parametrize("column", ["env", "stage", "user", "meta.by"])
def test_a_column_called_for_something_else_says_no_split_by_chance(tmp_path, column):
    outer, _, inner = column.partition(".")
    by_chance = [GOOD | {outer: {inner: value} if inner else value} for value in ("dev", "dev", "test")]
    write_jsonl(tmp_path / "data/x.jsonl", *by_chance)
    with pytest.raises(UserError, match=rf"x\.jsonl: a column may say the split \({column}\); say it .* or cut"):
        items(tmp_path / "data")
    assert [row.split for row in rows(tmp_path / "data", columns={"split": column})] == ["validation"] * 2 + ["test"]
    assert {row.split for row in rows(tmp_path / "data", split="cut")} == {None}
    write_jsonl(tmp_path / "train/x.jsonl", *(row | {"why": "test"} for row in by_chance))
    assert {row.split for row in rows(tmp_path / "train")} == {"train"}


@pytest.mark.parametrize(
    ("content", "splits"),
    [
        ({"test": [GOOD, BAD]}, ["test", "test"]),
        ({"test": [GOOD], "authors": ["x"], "n": 1}, ["test"]),
        ({"train": [GOOD], "test": []}, ["train"]),
        ({"version": 1, "data": [GOOD]}, [None]),
    ],
)
def test_the_key_of_a_list_in_json_says_the_split(tmp_path, content, splits):
    assert [row.split for row in rows(write(tmp_path / "x.json", json.dumps(content)))] == splits


def test_a_card_may_begin_with_a_byte_order_mark(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", GOOD)
    card = "---\nconfigs:\n- config_name: default\n  data_files:\n  - {split: test, path: a.jsonl}\n---\n"
    write(tmp_path / "README.md", b"\xef\xbb\xbf" + card.encode())
    assert [row.split for row in rows(tmp_path)] == ["test"]


@pytest.mark.parametrize(
    "links",
    [
        {"loop": ".", "train/up": "c"},
        {"a/x": "c/test", "test/y": "c/a"},
        {"a/x": "c/test", "train/x": "c/test", "train/y": "c/a"},
        {"all": "c/train", "0": "c/train", "train/in/deep": "c"},
    ],
)
def test_a_folder_is_read_once_by_its_own_name_whatever_links_lead_to_it(tmp_path, links):
    for name in ("train/x.jsonl", "a/train.jsonl", "test/x.jsonl", "../beside/x.jsonl"):
        write_jsonl(tmp_path / "c" / name, GOOD)
    for place, target in links.items():
        (tmp_path / "c" / place).parent.mkdir(exist_ok=True)
        (tmp_path / "c" / place).symlink_to(tmp_path / target)
    assert [(row.file, row.split) for row in rows(tmp_path / "c")] == [
        ("a/train.jsonl", "train"), ("test/x.jsonl", "test"), ("train/x.jsonl", "train"),
    ]  # fmt: skip


def test_a_folder_elsewhere_is_read_once_though_several_links_lead_to_it(tmp_path):
    write_jsonl(tmp_path / "elsewhere/x.jsonl", GOOD)
    for place in ("a", "b"):
        (tmp_path / "c").mkdir(exist_ok=True)
        (tmp_path / "c" / place).symlink_to(tmp_path / "elsewhere")
    assert [row.file for row in rows(tmp_path / "c")] == ["a/x.jsonl"]


def test_what_systems_leave_in_folders_is_no_data(tmp_path):
    write_jsonl(tmp_path / "my data/train set.jsonl", GOOD)
    for name in (".ipynb_checkpoints/x.jsonl", "._train set.jsonl", "__MACOSX/._x.jsonl", "x.jsonl~", "x.jsonl.bak"):
        write_jsonl(tmp_path / "my data" / name, BAD)
    assert [(row.file, row.split) for row in rows(tmp_path)] == [("my data/train set.jsonl", "train")]


# Labels.


TWICE = f'{json.dumps(GOOD)[:-1]}, "label": 0}}'
INSIDE = f'{json.dumps(GOOD)[:-1]}, "by": [[{{"n": 1, "n": 1}}]]}}'


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("name", "shape"),
    [("x.jsonl", "{}\n{}\n"), ("x.json", "{}\n{}\n"), ("x.json", "[{}, {}]"), ("x.json", '{{"data": [{}, {}]}}')],
)
@pytest.mark.parametrize(("record", "field"), [(TWICE, "label"), (INSIDE, "n")])
def test_a_field_twice_in_a_record_is_no_choice_and_spoils_that_record_alone(
    tmp_path, first, name, shape, record, field
):
    records = [record, json.dumps(BAD)]
    write(tmp_path / name, shape.format(*(records if first else records[::-1])))
    assert [row.label for row in rows(tmp_path)] == [0]
    (item,) = (item for item in items(tmp_path) if not isinstance(item, Row))
    assert item.reason == f"a field twice; two fields are called {field!r}"
    assert BEFORE in item.row
    assert item.row.count(field) >= 2


def test_a_field_twice_in_a_whole_file_is_no_choice(tmp_path):
    lists = f'{{"train": [{json.dumps(GOOD)}], "train": [{json.dumps(BAD)}]}}'
    with pytest.raises(UserError, match=r"x\.json: holds no record \(.*two fields are called 'train'\)"):
        items(write(tmp_path / "x.json", lists))


NESTED = {"by": {"people": {"names": ["correct", "incorrect"], "_type": "ClassLabel"}}, "before": {"dtype": "string"}}
NESTED_CARD = """---
dataset_info:
  features:
  - name: before
    dtype: string
  - name: by
    struct:
    - name: people
      dtype:
        class_label:
          names:
            '0': correct
            '1': incorrect
---
"""


@pytest.mark.parametrize(
    ("name", "content"), [("dataset_info.json", json.dumps({"features": NESTED})), ("README.md", NESTED_CARD)]
)
def test_the_classes_of_a_nested_label_decide(tmp_path, name, content):
    write(tmp_path / name, content)
    write_jsonl(tmp_path / "x.jsonl", *({"before": BEFORE, "after": AFTER, "by": {"people": n}} for n in (0, 1)))
    assert [row.label for row in rows(tmp_path, columns={"label": "by.people"})] == [1, 0]


def test_a_column_under_the_name_of_another_hides_it_with_its_classes(tmp_path):
    features = {name: {"names": names} for name, names in (("gold", ["good", "bad"]), ("label", ["bad", "good"]))}
    write(tmp_path / "dataset_info.json", json.dumps({"features": features}))
    write_jsonl(tmp_path / "x.jsonl", GOOD | {"label": 0, "gold": 0}, GOOD | {"label": 0})
    assert [row.label for row in rows(tmp_path, columns={"label": "gold"})] == [1]
    assert reasons(tmp_path, columns={"label": "gold"}) == ["label: neither 0 nor 1; found None"]


def test_yes_and_no_may_be_meant_as_yaml_reads_them(tmp_path):
    write_jsonl(tmp_path / "x.jsonl", *(GOOD | {"label": label} for label in ("yes", "No", True)))
    assert [row.label for row in rows(tmp_path, labels={"True": 1, "False": 0})] == [1, 0, 1]
    with pytest.raises(UserError, match="nothing says what 'yes' means"):
        items(tmp_path)


def test_two_answers_of_one_text_are_no_preference(tmp_path):
    """Nor an annotator who leaves the sentence as it is."""
    write_jsonl(tmp_path / "x.jsonl", {"chosen": AFTER, "rejected": AFTER + " "}, {"chosen": AFTER, "rejected": BEFORE})
    assert edits(tmp_path) == [(BEFORE, AFTER, None)]
    assert reasons(tmp_path) == ["chosen, rejected: the same text"]


# Shapes of JSON that pandas and others write.


@pytest.mark.parametrize(
    "content",
    [
        {"before": [BEFORE], "after": [AFTER], "label": [1]},
        {"before": {"0": BEFORE}, "after": {"0": AFTER}, "label": {"0": 1}},  # pandas' default
        {"columns": [*GOOD], "index": [0], "data": [[*GOOD.values()]]},
        {"17": GOOD, "18": BAD},
        {"train": {"data": [GOOD]}, "test": {"data": [BAD]}},
        {"info": {"n": 1}, "corpus": {"data": [GOOD]}},
    ],
)
def test_json_that_is_no_list_of_records_is_refused_whole(tmp_path, content):
    told = r"x\.json: a list of records is needed, as pandas writes with orient='records' \(found: "
    with pytest.raises(UserError, match=told):
        items(write(tmp_path / "x.json", json.dumps(content)))


# Offsets.


@pytest.mark.parametrize(
    ("text", "unit", "start"),
    [
        ("Café: she go home.", "bytes of UTF-8", len("Café: she ".encode())),
        ("😀 she go home.", "UTF-16 units", len("😀 she ".encode("utf-16-le")) // 2),
        ("Café: she go home.", None, len("Café: she ")),
        ("😀 she go home.", None, len("😀 she ")),
        ("她昨天 go 学校。", None, len("她昨天 ")),
        ("Café: she cango.", None, len("Café: she can")),  # within a word, whatever is counted
    ],
)
def test_offsets_of_essays_count_characters_or_are_refused(tmp_path, text, unit, start):
    write_jsonl(tmp_path / "x.jsonl", {"text": text, "edits": [[0, [[start, start + 2, "goes"]]]]})
    if unit:
        assert reasons(tmp_path) == [f"edits: their offsets seem to count {unit}, and are to count characters"]
    else:
        assert edits(tmp_path) == [(text, text.replace("go", "goes"), None)]


@pytest.mark.parametrize(("text", "start"), [("“Yes,” he sayd it.", 11), ("É cat here.", 3), ("😀 she hs it.", 7)])
def test_a_letter_may_be_put_into_a_word_of_an_essay(tmp_path, text, start):
    write_jsonl(tmp_path / "x.jsonl", {"text": text, "edits": [[0, [[start, start, "o"]]]]})
    assert edits(tmp_path) == [(text, f"{text[:start]}o{text[start:]}", None)]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        *(([start, 6, "goes"], f"edits: no offset; found {start!r}") for start in (4.5, -1, None, "x", True, "1_0")),
        ([4, 6, 7], "edits: expected text; found 7"),
        ([4, 6], "edits: expected [[annotator, [[start, end, correction], ...]], ...]"),
    ],
)
def test_an_edit_of_an_essay_is_two_whole_numbers_and_a_text(tmp_path, edit, reason):
    write_jsonl(tmp_path / "x.jsonl", {"text": "She go home.", "edits": [[0, [edit]]]})
    assert reasons(tmp_path) == [reason]


def test_the_kind_of_an_essays_edit_is_a_text_or_none(tmp_path):
    edits = [[0, [[4, 6, "goes", 5]]], [1, [["4", 6.0, "went", "R:VERB", "more"]]]]
    write_jsonl(tmp_path / "x.jsonl", {"text": "She go home.", "edits": edits})
    assert [(row.after, row.kind) for row in rows(tmp_path)] == [
        ("She goes home.", "unknown"), ("She went home.", "R:VERB"),
    ]  # fmt: skip


@pytest.mark.parametrize(("start", "removed", "inserted"), [(50, "", "x"), (13, "", "x"), (99, "go", "goes")])
def test_an_edit_beyond_its_sentence_is_rejected(tmp_path, start, removed, inserted):
    edit = {"edit_start": start, "removed": removed, "inserted": inserted}
    write_jsonl(tmp_path / "x.jsonl", GOOD | {"after": BEFORE + "x"} | edit)
    assert reasons(tmp_path) == ["edit_start, removed, inserted: not the edit that leads from before to after"]


# M2.

EDIT = "A 1 2|||{}|||{}|||REQUIRED|||-NONE-|||0"


@pytest.mark.parametrize(
    ("sentence", "edit", "reason"),
    [
        ("She\tgo .", EDIT.format("R:VERB", "goes"), "M2: white space that is no space"),
        ("She\u00a0x go .", EDIT.format("R:VERB", "goes"), "M2: white space that is no space"),
        ("She go .", EDIT.format("R:VERB", "-NONE-"), "M2: a mistake without its correction"),
        ("She go .", EDIT.format("M:DET", ""), "M2: a mistake without its correction"),
        *(
            ("She go .", EDIT.format("R:VERB", f"1{space}000"), "M2: white space that is no space in a correction")
            for space in ("\u00a0", "\u202f", "\t", "\u2009", "\u3000")
        ),
        ("She go .", EDIT.format("R:VERB", "goes to"), None),
        ("She go .", EDIT.format("R:VERB", "\u00a0 goes "), None),
        ("She go .", EDIT.format("U:VERB", ""), None),
        ("She go .", EDIT.format("Wci", "-NONE-"), None),  # so CoNLL writes what is taken out
        ("She go \u00a0 .", EDIT.format("R:VERB", "goes"), None),  # a token of its own, as spaCy has it
    ],
)
def test_an_m2_edit_is_where_and_what_it_says_or_its_block_is_rejected(tmp_path, sentence, edit, reason):
    found = items(write(tmp_path / "x.m2", f"S {sentence}\n{edit}\n"))
    assert [None if isinstance(item, Row) else item.reason.partition(";")[0].partition(",")[0] for item in found] == [
        reason
    ]
