"""Every row is read or rejected with its reason and place."""

import json

import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fluency.corpus.formats import as_reference
from fluency.corpus.ingest import read_corpus
from fluency.corpus.rows import Row, write_rows
from fluency.edits.edit import Edit
from fluency.edits.forms import MAX_CHARACTERS
from fluency.sources.data import corpus_names, fetch_data
from fluency.utils.errors import UserError

REFERENCE = {
    "original_sentence": "It is a test in the inn.",
    "inappropriate_part": "in",
    "rewritten_part": "at",
    "expected_score": 1.0,
}


def sorted_out(items):
    items = list(items)
    return [item for item in items if isinstance(item, Row)], [item for item in items if not isinstance(item, Row)]


def read(path, **options):
    return sorted_out(read_corpus(fetch_data(f"path:{path}"), "mine", **options))


def write_jsonl(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_sample_lines(tmp_path, monkeypatch):
    folder = tmp_path / "data/sample/hand-written"
    folder.mkdir(parents=True)
    (folder / "mail.txt").write_text(
        "# a comment\n\nAll is well.\n- agreement: All [is|are] well here.\n"
        "= omission: It is [very |]cold.\nbad [line\n"
    )
    monkeypatch.chdir(tmp_path)
    rows, rejected = sorted_out(read_corpus(fetch_data("sample"), "sample"))
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
        ({"expected_score": [1]}, "expected_score: neither 0 nor 1; found [1]"),
        ({"expected_score": None}, "expected_score: neither 0 nor 1; found None"),
        ({"inappropriate_part": "absent"}, "inappropriate_part: does not occur in the sentence"),
        ({"inappropriate_part": ""}, "inappropriate_part: empty"),
        ({"original_sentence": " "}, "original_sentence: empty"),
        ({"original_sentence": 7}, "original_sentence: expected text; found 7"),
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
def test_labelled_pairs(tmp_path, columns):
    records = [("He go.", "He goes.", 1), ("A naïve\nplan.", "An naïve\nplan.", 0)]
    path = write_jsonl(tmp_path / "dev.jsonl", *(dict(zip(columns, record, strict=True)) for record in records))
    rows, rejected = read(path)
    assert rejected == []
    assert [(row.before, row.after, row.label, row.split) for row in rows] == [(*r, "validation") for r in records]


def test_labelled_pairs_may_bring_their_edit(tmp_path):
    edit = {"before": "a b a", "after": "a b c", "label": True, "edit_start": 4, "removed": "a", "inserted": "c"}
    rows, rejected = read(write_jsonl(tmp_path / "x.jsonl", edit, edit | {"edit_start": 0}))
    assert [(row.start, row.removed, row.inserted, row.label) for row in rows] == [(4, "a", "c", 1)]
    assert [item.reason for item in rejected] == [
        "edit_start, removed, inserted: not the edit that leads from before to after"
    ]


COEDIT = [
    {"_id": "1", "task": "gec", "src": "Fix grammar: She go: home.", "tgt": "She goes: home."},
    {"_id": "2", "task": "paraphrase", "src": "Paraphrase this: It is big.", "tgt": "It is large."},
    {"_id": "3", "task": "gec", "src": "Note: she go.", "tgt": "Note: she goes."},
]


def test_parallel_text_loses_its_instruction_and_keeps_its_task(tmp_path):
    rows, _ = read(write_jsonl(tmp_path / "train.jsonl", *COEDIT))
    assert [(row.relation, row.before, row.after, row.kind) for row in rows] == [
        ("correction", "She go: home.", "She goes: home.", "gec"),
        ("rewrite", "It is big.", "It is large.", "paraphrase"),
        ("correction", "Note: she go.", "Note: she goes.", "gec"),
    ]


def test_parallel_text_without_tasks_has_no_instruction(tmp_path):
    rows, _ = read(write_jsonl(tmp_path / "x.jsonl", {"src": "Note: she go.", "tgt": "Notes: she goes."}))
    assert [(row.relation, row.before) for row in rows] == [("correction", "Note: she go.")]


def test_tasks_are_filtered_and_none_is_lost(tmp_path):
    rows, rejected = read(write_jsonl(tmp_path / "x.jsonl", *COEDIT), tasks=["paraphrase"])
    assert [row.line for row in rows] == [2]
    assert [(item.line, item.reason) for item in rejected] == [
        (line, "task: not among data.tasks; found 'gec'") for line in (1, 3)
    ]


def test_jfleg_tables_give_a_row_for_each_correction(tmp_path):
    good = {"sentence": "She go . ", "corrections": ["She goes . ", "She went .", "She go ."]}
    bad = [good | {"corrections": wrong} for wrong in ([], "She goes .", [1])]
    rows, rejected = read(write_jsonl(tmp_path / "x.jsonl", good, *bad))
    assert [(row.before, row.after) for row in rows] == [
        ("She go .", "She goes ."), ("She go .", "She went ."), ("She go .", "She go ."),
    ]  # fmt: skip
    assert [item.line for item in rejected] == [2, 3, 4]


def test_plain_references_are_read_line_by_line(tmp_path):
    (tmp_path / "dev.src").write_text("She go . \n\nAll well .\n")
    (tmp_path / "dev.ref0").write_text("She goes .\n\nAll is well .\n")
    (tmp_path / "dev.ref1").write_text("She went .\nx\nAll well .\n")
    for path in (tmp_path, tmp_path / "dev.src"):
        rows, rejected = read(path)
        assert [(row.before, row.after, row.line, row.split) for row in rows] == [
            ("She go .", "She goes .", 1, "validation"), ("She go .", "She went .", 1, "validation"),
            ("All well .", "All is well .", 3, "validation"), ("All well .", "All well .", 3, "validation"),
        ]  # fmt: skip
        assert [(item.line, item.reason, item.row) for item in rejected] == [(2, "before: empty", "\n\nx")]
    (tmp_path / "dev.ref1").write_text("one line\n")
    with pytest.raises(UserError, match=r"dev\.src: it and dev\.ref0, dev\.ref1 differ in their number of lines"):
        read(tmp_path)
    (tmp_path / "dev.ref0").unlink()
    (tmp_path / "dev.ref1").unlink()
    with pytest.raises(UserError, match="no file of a known kind"):
        read(tmp_path)


def test_m2_files_keep_their_place_and_their_bad_blocks(tmp_path):
    (tmp_path / "test.m2").write_text("S She go .\nA 1 2|||R:VERB|||goes|||REQUIRED|||-NONE-|||0\n\nS a\nA broken\n")
    rows, rejected = read(tmp_path)
    assert [(row.before, row.after, row.kind, row.split, row.line) for row in rows] == [
        ("She go.", "She goes.", "R:VERB", "test", 1)
    ]
    assert [(item.line, item.row) for item in rejected] == [(4, "S a\nA broken")]


def test_one_corpus_in_two_formats_has_to_be_chosen_from(tmp_path):
    (tmp_path / "dev.src").write_text("She go .\n")
    (tmp_path / "dev.ref0").write_text("She goes .\n")
    (tmp_path / "dev.ref.m2").write_text("S She go .\nA 1 2|||x|||went|||REQUIRED|||-NONE-|||0\n")
    with pytest.raises(UserError, match=r"data\.format: .* holds M2 and \.src/\.ref files; choose m2 or jfleg"):
        read(tmp_path)
    assert [row.after for row in read(tmp_path, format="jfleg")[0]] == ["She goes ."]
    assert [row.after for row in read(tmp_path, format="m2")[0]] == ["She went."]
    with pytest.raises(UserError, match="holds no file of the format labelled"):
        read(tmp_path, format="labelled")


def test_the_format_decides_where_columns_allow_two(tmp_path):
    both = {"src": "a b", "tgt": "a c", "before": "d e", "after": "d f", "label": 0}
    path = write_jsonl(tmp_path / "x.jsonl", both)
    assert read(path)[0][0].before == "d e"
    assert read(path, format="parallel")[0][0].before == "a b"
    with pytest.raises(UserError, match="one of these is needed: corrections, sentence"):
        read(path, format="jfleg")


def test_a_folder_written_by_datasets_keeps_its_splits(tmp_path):
    datasets = pytest.importorskip("datasets")
    split = {name: datasets.Dataset.from_list([REFERENCE]) for name in ("train", "test")}
    datasets.DatasetDict(split).save_to_disk(str(tmp_path / "saved"))
    rows, rejected = read(tmp_path / "saved")
    assert ([row.split for row in rows], rejected) == (["test", "train"], [])


def test_several_sources_keep_their_names(tmp_path):
    assert corpus_names(["sample", "hub:owner/edits@main", "path:../b/jfleg", "path:x.jsonl"]) == [
        "sample", "edits", "jfleg", "x",
    ]  # fmt: skip
    assert corpus_names(["path:a@b/x.jsonl.gz", "hub:o/bea-2.1"]) == ["x", "bea-2.1"]
    assert corpus_names(["path:a/edits", "path:b/edits"]) == ["path:a/edits", "path:b/edits"]


# What hostile files hold: each is read or rejected, and what is written can be read again.
HOSTILE = {
    "nul": ("a\0b c", "a\0b d", "before: a NUL character"),
    "surrogate": ("a \ud800 c", "a \ud800 d", "before: a lone surrogate, which is no Unicode text"),
    "only after": ("a b", "a \udfff", "after: a lone surrogate, which is no Unicode text"),
    "long": ("a" * 10_000_000, "b", f"before: too long; 10000000 characters, where {MAX_CHARACTERS} are the most"),
    "empty": ("", "b", "before: empty"),
    "blank": ("a", " \u00a0\n", "after: empty"),
    "right to left": ("שלום לכם עולם", "שלום לך עולם", None),
    "emoji": ("a 👩‍👩‍👧 b", "a 👩‍👩‍👧‍👦 b", None),
    "markup": ("a <script>b</script>", "a <script>c</script>", None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sentences_are_rejected_whole_or_kept_whole(tmp_path, name):
    before, after, reason = HOSTILE[name]
    record = {"before": before, "after": after, "label": 1, "id": "same"}
    good = {"before": "x y", "after": "x z", "label": 0, "id": "same"}
    path = write_jsonl(tmp_path / "x.jsonl", good, record, good)
    counts = write_rows(read_corpus(fetch_data(f"path:{path}"), "mine"), ["mine"], tmp_path)
    rows, rejected = (pq.read_table(tmp_path / f"{kind}.parquet").to_pylist() for kind in ("rows", "rejected"))
    assert counts == {"mine": {"rows": len(rows), "rejected": len(rejected)}}
    if reason:
        assert [(item["reason"], item["line"]) for item in rejected] == [(reason, 2)]
        whole = json.loads(rejected[0]["row"])["before"]
        assert whole == before or name in ("nul", "surrogate", "only after")
    else:
        assert [row["after"] for row in rows] == ["x z", after, "x z"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
GOOD = {
    "labelled": {"before": "a b", "after": "a c", "label": 1, "edit_start": 2, "removed": "b", "inserted": "c"},
    "reference": REFERENCE,
    "parallel": {"src": "a b", "tgt": "a c", "task": "gec"},
    "jfleg": {"sentence": "a b", "corrections": ["a c"]},
    "preference": {"prompt": "Mend it.", "chosen": "a c", "rejected": "a b"},
    "essays": {"text": "A b. C d.", "edits": [[0, [[2, 3, "x", "R:OTHER"]]]]},
}


@pytest.mark.parametrize("name", GOOD)
@given(data=st.data())
def test_no_record_is_lost_whatever_it_holds(tmp_path_factory, name, data):
    folder, good = tmp_path_factory.mktemp("fuzz"), GOOD[name]
    columns = [*good, "kind", "part", "source", "split"]
    changes = data.draw(st.lists(st.dictionaries(st.sampled_from(columns), ANYTHING), max_size=5))
    others = data.draw(st.lists(ANYTHING, max_size=3))
    path = write_jsonl(folder / "x.jsonl", good, *(good | change for change in changes), *others)
    try:
        counts = write_rows(read_corpus(fetch_data(f"path:{path}"), "mine"), ["mine"], folder)
    except UserError as error:  # a column is refused as a whole
        if not any(told in str(error) for told in ("nothing says what", "may be a label", "may say the split")):
            raise
        return
    items = [item for kind in counts["mine"] for item in pq.read_table(folder / f"{kind}.parquet").to_pylist()]
    assert {item["line"] for item in items} == set(range(1, len(changes) + len(others) + 2))


def test_a_source_without_a_usable_row_stops(tmp_path):
    path = write_jsonl(tmp_path / "x.jsonl", {"before": "", "after": "", "label": 1})
    told = r"data\.source: mine: no usable row, 1 rejected \(the first, x\.jsonl line 1: before: empty\)"
    with pytest.raises(UserError, match=told):
        write_rows(read_corpus(fetch_data(f"path:{path}"), "mine"), ["mine"], tmp_path)
    (tmp_path / "x.m2").write_text("\n")
    with pytest.raises(UserError, match=r"mine: no usable row, 0 rejected; check"):
        write_rows(read_corpus(fetch_data(f"path:{tmp_path / 'x.m2'}"), "mine"), ["mine"], tmp_path)


def test_a_file_of_nothing_but_bad_lines_stops(tmp_path):
    (tmp_path / "x.jsonl").write_text("one\ntwo\n")
    with pytest.raises(UserError, match=r"x\.jsonl: holds no record \(its first line: not JSON"):
        read(tmp_path)


@given(st.lists(st.sampled_from(["a", "cat", "cats", ",", "naïve"]), min_size=1, max_size=8).map(" ".join), st.data())
def test_edits_in_the_references_schema_read_back(tmp_path_factory, sentence, data):
    start = data.draw(st.integers(0, len(sentence)))
    end = data.draw(st.integers(start, len(sentence)))
    edit = Edit(start, sentence[start:end], data.draw(st.sampled_from(["", "x", " the", "cat"])))
    assume(edit.apply(sentence).strip())
    record = as_reference(sentence, edit, 1)
    assert sentence.replace(record["inappropriate_part"], record["rewritten_part"], 1) == edit.apply(sentence)
    reverse = as_reference(edit.apply(sentence), edit.invert(), 0)
    rows, rejected = read(write_jsonl(tmp_path_factory.mktemp("reference") / "x.jsonl", record, reverse))
    assert rejected == []
    assert [(row.before, row.after, row.label) for row in rows] == [
        (sentence, edit.apply(sentence), 1), (edit.apply(sentence), sentence, 0),
    ]  # fmt: skip


def test_unknown_columns_are_named(tmp_path):
    (tmp_path / "x.csv").write_text("before,label\na,1\n")
    with pytest.raises(UserError, match=r"x\.csv: no known format in its columns \(before, label\); one of"):
        read(tmp_path)


def test_a_column_of_splits_is_believed_and_an_unknown_one_rejected(tmp_path):
    good = {"before": "a b", "after": "a c", "label": 1}
    rows, rejected = read(
        write_jsonl(tmp_path / "train.jsonl", good | {"split": "dev"}, good | {"split": "golden"}, good | {"split": ""})
    )
    assert [row.split for row in rows] == ["validation", "train"]
    assert [item.reason for item in rejected] == ["split: neither train, validation nor test; found 'golden'"]


def test_files_of_no_known_kind_are_named_and_a_cache_is_no_data(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", REFERENCE)
    for name in ("notes.txt", "dev.jsonl.rar", "cache-12.arrow", "dev.spellchecked.src", ".hidden/x.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    fetched = fetch_data(f"path:{tmp_path}")
    assert [file.name for file in fetched.files] == ["train.jsonl"]
    assert fetched.ignored == ("cache-12.arrow", "dev.jsonl.rar", "dev.spellchecked.src", "notes.txt")


@pytest.mark.parametrize("name", ["test.jsonl", "dev.csv"])
def test_an_empty_or_dangling_file_is_not_passed_over(tmp_path, name):
    write_jsonl(tmp_path / "train.jsonl", REFERENCE)
    (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=rf"{name}: holds no record \(it is empty\)"):
        read(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(tmp_path / "absent")
    with pytest.raises(UserError, match=rf"{name}: cannot be read"):
        read(tmp_path)


def test_a_linked_folder_is_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    write_jsonl(tmp_path / "elsewhere/x.jsonl", REFERENCE)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/test").symlink_to(tmp_path / "elsewhere")
    assert [row.split for row in read(tmp_path / "corpus")[0]] == ["test"]


def test_the_reverse_of_an_ambiguous_edit_may_stand_in_another_file(tmp_path):
    there = {"original_sentence": "A b A.", "inappropriate_part": "A", "rewritten_part": "C", "expected_score": 0}
    back = {"original_sentence": "A b C.", "inappropriate_part": "C", "rewritten_part": "A", "expected_score": 1}
    write_jsonl(tmp_path / "train-0.jsonl", there)
    write_jsonl(tmp_path / "train-1.jsonl", back)
    assert [row.after for row in read(tmp_path)[0]] == ["A b C.", "A b A."]


def test_a_broken_annotator_leaves_the_others(tmp_path):
    (tmp_path / "x.m2").write_text(
        "S She go .\nA 1 2|||x|||goes|||REQUIRED|||-NONE-|||0\nA 5 9|||x|||y|||REQUIRED|||-NONE-|||1\n"
    )
    rows, rejected = read(tmp_path)
    assert [row.after for row in rows] == ["She goes."]
    assert [item.reason for item in rejected] == ["M2: an edit overlaps another or leaves the sentence; 5 9"]


def test_a_file_named_alone_is_read_as_m2_whatever_it_is_called(tmp_path):
    (tmp_path / "conll.gold").write_text("S She go .\nA 1 2|||x|||goes|||REQUIRED|||-NONE-|||0\n")
    assert [row.after for row in read(tmp_path / "conll.gold", format="m2")[0]] == ["She goes."]
    with pytest.raises(UserError, match="holds no file of a known kind"):
        read(tmp_path / "conll.gold")


def test_columns_are_those_of_the_first_records_together(tmp_path):
    good = {"before": "a b", "after": "a c", "label": 1}
    rows, rejected = read(write_jsonl(tmp_path / "x.jsonl", {"before": "a b", "after": "a c"}, good))
    assert ([row.line for row in rows], [item.line for item in rejected]) == ([2], [1])


@pytest.mark.parametrize(("label", "read_as"), [(True, 1), ("0", 0), ("1.0", 1), (-0.0, 0), (1, 1)])
def test_labels_may_be_written_in_many_ways(tmp_path, label, read_as):
    rows, _ = read(write_jsonl(tmp_path / "x.jsonl", {"before": "a b", "after": "a c", "label": label}))
    assert [row.label for row in rows] == [read_as]
