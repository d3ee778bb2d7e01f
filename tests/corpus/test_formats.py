"""Formats that users have, each read as what it is."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from fluency.corpus.essays import sentences_of
from fluency.corpus.ingest import read_corpus
from fluency.corpus.rows import Row
from fluency.sources.data import Source, fetch_data
from fluency.utils.errors import UserError

EDIT = ("She go .", "She goes .")
LABELLED = {"before": EDIT[0], "after": EDIT[1], "label": 1}


def items(path, **settings):
    return list(read_corpus(fetch_data(replace(Source(path=str(path)), **settings)), "mine"))


def rows(path, **settings):
    return [(item.before, item.after) for item in items(path, **settings) if isinstance(item, Row)]


def rejected(path, **settings):
    return [item.reason for item in items(path, **settings) if not isinstance(item, Row)]


def write_jsonl(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        ("train.src", ["train.tgt"]),
        ("train.src", ["train.trg"]),
        ("dev.orig", ["dev.corr"]),
        ("dev.orig", ["dev.cor"]),
        ("src.txt", ["ref0.txt", "ref1.txt", "ref10.txt"]),
        ("train_source.txt", ["train_target.txt"]),
        ("fce.dev.src.txt", ["fce.dev.tgt.txt"]),
        ("original.txt", ["corrected.txt"]),
        ("test.SRC", ["test.ref0", "test.ref1"]),
    ],
)
def test_parallel_files_of_plain_text(tmp_path, source, targets):
    (tmp_path / source).write_text("She go .\nHe go .\n")
    for number, target in enumerate(targets):
        (tmp_path / target).write_text(f"She goes {number} .\nHe goes {number} .\n")
    expected = [(f"{who} go .", f"{who} goes {number} .") for who in ("She", "He") for number in range(len(targets))]
    for path in (tmp_path, tmp_path / source):
        assert rows(path) == expected
        assert len(fetch_data(f"path:{path}").files) == 1 + len(targets)  # the manifest has them all
    assert {row.relation for row in items(tmp_path)} == {"correction"}


@pytest.mark.parametrize(
    "record",
    [
        dict(zip(names, EDIT, strict=True)) | {"id": 1}
        for names in (
            ("src", "tgt"), ("source", "target"), ("input", "output"), ("original", "corrected"),
            ("incorrect", "correct"),
        )
    ]
    + [
        {"translation": {"src": EDIT[0], "tgt": EDIT[1]}},
        {"prompt": "Mend it.", "rejected": EDIT[0], "chosen": EDIT[1]},
        {"rejected": [{"role": "user", "content": "x"}, {"role": "assistant", "content": EDIT[0]}],
         "chosen": [{"role": "user", "content": "x"}, {"role": "assistant", "content": EDIT[1]}]},
    ],
)  # fmt: skip
def test_columns_that_say_which_text_is_better(tmp_path, record):
    (row,) = items(write_jsonl(tmp_path / "x.jsonl", record))
    assert (row.relation, row.before, row.after, row.part) == ("correction", *EDIT, "mine")


@pytest.mark.parametrize("names", [("before", "after"), ("sentence1", "sentence2"), ("text1", "text2")])
def test_columns_that_do_not_say_it_are_read_when_asked(tmp_path, names):
    path = write_jsonl(tmp_path / "x.jsonl", dict(zip(names, EDIT, strict=True)))
    with pytest.raises(UserError, match=r"no known format in its columns .*a source says its own: \{path: "):
        rows(path)
    assert rows(path, format="parallel") == [EDIT]


def test_a_translation_that_names_languages_is_read_by_a_map(tmp_path):
    path = write_jsonl(tmp_path / "x.jsonl", {"translation": {"en": EDIT[0], "fixed": EDIT[1]}})
    assert rejected(path)[0].startswith("translation: its fields say not which text is the better")
    assert rows(path, columns={"src": "translation.en", "tgt": "translation.fixed"}) == [EDIT]


WI = {
    "id": "1",
    "text": "My dog are big. He eat  meat . \nMr. Smith live here. I am.",
    "edits": [
        [0, [[7, 10, "is", "R:VERB"], [19, 22, "eats"], [42, 46, None], [51, 52, " !"]]],
        [1, [[7, 10, "was"], [14, 18, ", he"]]],
    ],
}


def test_essays_are_cut_into_sentences_and_no_edit_is_cut(tmp_path):
    found = items(write_jsonl(tmp_path / "x.jsonl", WI))
    assert [(row.before, row.after, row.start, row.removed, row.kind) for row in found if isinstance(row, Row)] == [
        ("My dog are big.", "My dog is big.", 7, "are", "R:VERB"),
        ("He eat  meat .", "He eats  meat .", 3, "eat", "unknown"),
        ("I am.", "I am.", None, None, "unknown"),
        ("My dog are big. He eat  meat .", "My dog was big, he eat  meat .", None, None, "unknown"),
        ("Mr. Smith live here.", "Mr. Smith live here.", None, None, "unknown"),
        ("I am.", "I am.", None, None, "unknown"),
    ]
    assert rejected(tmp_path) == ["edits: a mistake without its correction; 'Mr. Smith live here.'"]


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ([[4, 5, "goes"], [19, 22, "likes"]], True),  # to the last character
        ([[5, 7, "goes"], [20, 24, "likes"]], True),  # from 1
        ([[5, 6, "goes"], [20, 23, "likes"]], True),  # from 1, to the last character
        ([[4, 6, "goes"], [19, 23, "likes"]], False),
        ([[0, 1, "s"], [4, 6, "goes"], [16, 17, "H"]], False),  # letters of words
        ([[16, 17, "H"]], False),
    ],
)
def test_offsets_of_essays_count_from_0_and_to_behind_the_last_character(tmp_path, edits, told):
    path = write_jsonl(tmp_path / "x.jsonl", {"text": "She go home and he like it.", "edits": [[0, edits]]})
    reason = "edits: their offsets seem to count from 1, or to the last character, not behind it"
    assert rejected(path) == [reason] * told


@pytest.mark.parametrize("start", ["Dr. Brown", "Prof. Dr. J. K. Smith", "St. Mary"])
def test_a_title_or_initial_ends_no_sentence_of_an_essay(tmp_path, start):
    text = f"So do I. {start} go. He is."
    path = write_jsonl(tmp_path / "x.jsonl", {"text": text, "edits": [[0, []]]})
    assert [before for before, _ in rows(path)] == ["So do I.", f"{start} go.", "He is."]


@pytest.mark.parametrize("edits", [None, 3, [[0]], [[0, [[1, 2]]]], [[0, [[1, 2, 3]]]], [[0, [[5, 2, "x"]]]],
                                   [[0, [[0, 99, "x"]]]], [[0, [[0, 3, "x"], [2, 4, "y"]]]]])  # fmt: skip
def test_essays_with_broken_edits_are_rejected_whole(tmp_path, edits):
    (reason,) = rejected(write_jsonl(tmp_path / "x.jsonl", {"text": "She go.", "edits": edits}))
    assert reason.startswith("edits: ")


@given(st.lists(st.sampled_from(["He go. ", "A b! ", "c d", ".\n", " ", "e. f"]), min_size=1).map("".join), st.data())
def test_no_edit_of_an_essay_is_lost(text, data):
    """The corrected sentences are the corrected text, but for the spaces between them."""
    bounds = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6).filter(lambda cuts: len(cuts) % 2 == 0)))
    edits = [[start, end, "X"] for start, end in zip(bounds[::2], bounds[1::2], strict=True)]
    expected, done = "", 0
    for start, end, correction in edits:
        expected, done = expected + text[done:start] + correction, end
    found = ""
    try:
        sentences = list(sentences_of(text, [[0, edits]]))
    except ValueError:  # chance edits that cut words
        reject()
    for before, its in sentences:
        at = 0
        for start, end, correction, _ in its:
            found, at = found + before[at:start] + correction, end
        found += before[at:]
    assert "".join(found.split()) == "".join((expected + text[done:]).split())


def test_an_unusable_correction_leaves_the_others(tmp_path):
    record = {"sentence": "She go .", "corrections": ["She goes .", None, "", "She went .", 3, "She goes ."]}
    found = items(write_jsonl(tmp_path / "x.jsonl", record))
    assert [row.after for row in found if isinstance(row, Row)] == ["She goes .", "She went .", "She goes ."]
    assert rejected(tmp_path) == [f"corrections: one is no sentence; number {number}" for number in (2, 3, 5)]


@pytest.mark.parametrize("start", [4, 4.0, "4", "4.0"])
def test_an_offset_may_be_written_as_a_float(tmp_path, start):
    edit = {"before": "a b a", "after": "a b c", "label": 1, "edit_start": start, "removed": "a", "inserted": "c"}
    absent = [edit | {"edit_start": missing, "after": "c b a"} for missing in (None, "", float("nan"))]
    found = items(write_jsonl(tmp_path / "x.jsonl", edit, *absent))
    assert [row.start for row in found] == [4, None, None, None]
    assert rejected(write_jsonl(tmp_path / "x.jsonl", edit | {"edit_start": 0.5})) == [
        "edit_start: no offset; found 0.5"
    ]


@pytest.mark.parametrize("nothing", [None, float("nan"), ""])
def test_an_edit_may_put_in_or_take_out_nothing_in_any_way_of_writing(tmp_path, nothing):
    there = {"before": "a b b c", "after": "a b b b c", "label": 0}
    put_in = there | {"edit_start": 4.0, "removed": nothing, "inserted": "b "}
    back = {"before": there["after"], "after": there["before"], "label": 1}
    taken_out = back | {"edit_start": 4, "removed": "b ", "inserted": nothing}
    found = items(write_jsonl(tmp_path / "x.jsonl", put_in, taken_out, there | dict.fromkeys([*put_in][3:], nothing)))
    assert [(row.start, row.removed, row.inserted) for row in found] == [(4, "", "b "), (4, "b ", ""), (None,) * 3]
    reference = {"original_sentence": "a b c", "inappropriate_part": "b ", "expected_score": 1}
    assert rows(write_jsonl(tmp_path / "x.jsonl", reference | {"rewritten_part": nothing})) == [("a b c", "a c")]


@pytest.mark.parametrize("text", ["\u200b", "\ufeff \u2060", " \u200e\u00a0", "\ufeffShe go ."])
def test_a_text_that_is_not_seen_or_begins_as_a_file_is_no_sentence(tmp_path, text):
    path = write_jsonl(tmp_path / "x.jsonl", LABELLED | {"before": text}, LABELLED | {"after": text}, LABELLED)
    assert rows(path) == [EDIT]
    told = "nothing but characters that are not seen, or a byte order mark first"
    assert rejected(path) == [f"before: {told}", f"after: {told}"]


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\t\n"])
def test_white_space_around_a_sentence_is_no_edit(tmp_path, end):
    record = {"before": f"He go.{end}", "after": "He goes.", "label": 1}
    assert rows(write_jsonl(tmp_path / "x.jsonl", record)) == [("He go.", "He goes.")]


@pytest.mark.parametrize(
    "name", ["train-00001-of-00002.parquet", "train-00001-of-00002.jsonl", "train-1.csv", "train.json"]
)
def test_a_shard_of_no_rows_is_passed_over_with_a_word(tmp_path, name):
    pandas = pytest.importorskip("pandas")
    write_jsonl(tmp_path / "train-00000-of-00002.jsonl", LABELLED)
    if name.endswith(".parquet"):
        pandas.DataFrame([LABELLED])[:0].to_parquet(tmp_path / name)
    else:
        (tmp_path / name).write_text({"csv": "before,after,label\n", "json": "[]"}.get(name.rpartition(".")[2], ""))
    assert rows(tmp_path) == [EDIT]
    assert rejected(tmp_path) == ["the file holds no rows"]


def test_the_same_rows_in_several_containers_are_one(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame([LABELLED, LABELLED | {"before": "x"}])
    table.to_csv(tmp_path / "train.csv", index=False)
    table.to_parquet(tmp_path / "train.parquet")
    table.to_json(tmp_path / "train.jsonl", orient="records", lines=True)
    write_jsonl(tmp_path / "train.json", LABELLED)  # other rows
    assert len(rows(tmp_path)) == 3
    assert rejected(tmp_path) == ["the file holds the same rows as another, and is not read; train.csv"] * 2


def test_a_format_belongs_to_its_source_and_passes_over_other_tables(tmp_path):
    """As a whole clone of JFLEG has them."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/dev.src").write_text(EDIT[0])
    (tmp_path / "dev/dev.ref0").write_text(EDIT[1])
    (tmp_path / "dev/dev.m2").write_text("S x\n")
    (tmp_path / "ratings.csv").write_text("system,score\na,1\n")
    (tmp_path / "package.json").write_text("{}")
    assert rows(tmp_path, format="jfleg") == [EDIT]
    assert rejected(tmp_path, format="jfleg") == ["the file is not of the format jfleg, and not read"] * 2
    assert rows(tmp_path, files="*.src") == [EDIT]
    with pytest.raises(UserError, match=r"holds no file .*a source may have its own: \{path: \.\.\., format: \.\.\.\}"):
        rows(tmp_path, files="*.src", format="labelled")


def test_files_of_a_source_are_chosen_by_a_glob(tmp_path):
    for name in ("a.m2", "b.m2", "x.gold"):
        (tmp_path / name).write_text("S She go .\nA 1 2|||x|||goes|||REQUIRED|||-NONE-|||0\n")
    write_jsonl(tmp_path / "x.jsonl", LABELLED)
    assert {row.file for row in items(tmp_path, files="*.m2")} == {"a.m2", "b.m2"}
    assert {row.file for row in items(tmp_path, files="*.gold", format="m2")} == {"x.gold"}
    with pytest.raises(UserError, match=r"holds no file of a known kind that matches \*\.xyz"):
        items(tmp_path, files="*.xyz")
