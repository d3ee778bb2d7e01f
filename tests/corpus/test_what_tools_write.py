"""What other tools write, read as it is meant: names, columns that judge or split, M2 of several tools, odd cells."""

import gzip
import json
from dataclasses import replace

import pyarrow as pa
import pytest
from pyarrow import feather

from fluency.corpus.ingest import read_corpus
from fluency.corpus.rows import Row
from fluency.corpus.split_names import split_of_path
from fluency.sources.data import Source, fetch_data
from fluency.utils.errors import UserError

BEFORE, AFTER = "She go home.", "She goes home."
EDIT = {"src": BEFORE, "tgt": AFTER}
LABELLED = {"before": BEFORE, "after": AFTER, "label": 1}


def items(path, settings=None, **ways):
    return list(read_corpus(fetch_data(replace(Source(path=str(path)), **(settings or {}))), "mine", **ways))


def edits(path, settings=None, **ways):
    return [(row.before, row.after) for row in items(path, settings, **ways) if isinstance(row, Row)]


def reasons(path, settings=None, **ways):
    return [item.reason for item in items(path, settings, **ways) if not isinstance(item, Row)]


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


# Splits.


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("训练集.jsonl", "train"),
        ("MuCGEC/验证集.jsonl", "validation"),
        ("测试.jsonl", "test"),
        ("評価データ.jsonl", "test"),
        ("invalid.jsonl", None),
        ("validated.jsonl", None),
        ("train/latest.jsonl", "train"),
        ("test/gecdev.jsonl", "test"),
        ("train_test_split/train.jsonl", "train"),
    ],
)
def test_names_of_splits_in_other_words(name, split):
    assert split_of_path(name) == split


@pytest.mark.parametrize(
    "name",
    ["gecdev.jsonl", "validate.jsonl", "jflegvalid.jsonl", "MuCGEC测试集.jsonl", "train/gectest.jsonl",
     "gectest/train.jsonl", "train/validating.jsonl"],
)  # fmt: skip
def test_a_word_that_may_say_that_a_file_is_held_out_is_refused_also_in_a_folder_for_training(name):
    with pytest.raises(ValueError, match="in its name may say that it is held out"):
        split_of_path(name)


@pytest.mark.parametrize("column", ["is_test", "inTrain", "meta.dev_set", "测试"])
@pytest.mark.parametrize("values", [(True, False), (1, 0), ("yes", "No"), (None, "1.0")])
def test_a_flag_that_may_say_the_split_is_refused(tmp_path, column, values):
    outer, _, inner = column.partition(".")
    rows = [LABELLED | {outer: {inner: value} if inner else value} for value in values]
    for name in ("x.jsonl", "train.jsonl"):
        path = write(tmp_path / name, *rows)
        with pytest.raises(
            UserError, match=rf"{name}: the column '{column}' may say the split; write train, .* or cut"
        ):
            items(path)
        assert {row.split for row in items(path, {"split": "cut"})} == {None}
    assert {row.split for row in items(write(tmp_path / "test.jsonl", *rows))} == {"test"}
    write(tmp_path / "x.jsonl", *(row | {"split": "dev"} for row in rows))
    assert {row.split for row in items(tmp_path / "x.jsonl")} == {"validation"}


def test_two_stars_of_a_glob_stand_for_no_folder_too(tmp_path):
    for name in ("x.jsonl", "a/x.jsonl", "a/b/x.jsonl", "a/y.json"):
        write(tmp_path / name, LABELLED)
    assert {row.file for row in items(tmp_path, {"files": "**/*.jsonl"})} == {"x.jsonl", "a/x.jsonl", "a/b/x.jsonl"}
    assert {row.file for row in items(tmp_path, {"files": "a/**/x.jsonl"})} == {"a/x.jsonl", "a/b/x.jsonl"}


def test_a_rule_at_the_head_of_a_readme_is_no_card(tmp_path):
    write(tmp_path / "x.jsonl", LABELLED)
    write(tmp_path / "README.md", "---", "This: is: text")
    assert edits(tmp_path) == [(BEFORE, AFTER)]


def test_a_folder_in_a_card_is_no_file(tmp_path):
    write(tmp_path / "data/x.jsonl", LABELLED)
    write(tmp_path / "README.md", "---", "configs:", "- {config_name: x, data_files: data}", "---")
    with pytest.raises(UserError, match=r"README\.md: configs: 'data' is no file here"):
        items(tmp_path)


# Labels.


@pytest.mark.parametrize(
    "column", ["score", "is_correct", "judgement", "labels", "gold_label", "Quality", "acceptability", "class"]
)
def test_a_column_that_may_judge_the_edit_makes_no_correction_of_it(tmp_path, column):
    path = write(tmp_path / "x.jsonl", {"src": AFTER, "tgt": BEFORE, column: 0})
    told = rf"x\.jsonl: the column '{column}' may be a label; say so in the source, columns: \{{label: {column}\}}, or"
    with pytest.raises(UserError, match=told):
        items(path)
    assert [row.label for row in items(path, {"columns": {"label": column}})] == [0]
    assert [row.relation for row in items(path, {"format": "parallel"})] == ["correction"]


@pytest.mark.parametrize("beside", [{"score": None}, {"corrections": 2, "id": 1, "level": "B1"}, {"kind": "correct"}])
def test_other_columns_beside_a_correction_judge_nothing(tmp_path, beside):
    assert edits(write(tmp_path / "x.jsonl", EDIT | beside)) == [(BEFORE, AFTER)]


# Tables.


@pytest.mark.parametrize(("name", "mark"), [("x.csv", ","), ("x.csv", ";"), ("x.tsv", "\t")])
@pytest.mark.parametrize("again", ["src,tgt", "\ufeffsrc,tgt", " src , tgt "])
def test_a_header_among_the_rows_is_no_row(tmp_path, name, mark, again):
    """As shards that were put together have it."""
    lines = ["src,tgt", f"{BEFORE},{AFTER}", again, f"{BEFORE},{AFTER}"]
    path = write(tmp_path / name, *(line.replace(",", mark) for line in lines))
    assert edits(path) == [(BEFORE, AFTER)] * 2
    assert reasons(path) == ["the header once more"]


def test_a_quote_after_a_space_is_no_text(tmp_path):
    path = write(tmp_path / "x.csv", "before, after, label", '"So, she go.", "So, she goes.", 1', "a b, a c, 0")
    assert edits(path) == [("So, she go.", "So, she goes."), ("a b", "a c")]
    path = write(tmp_path / "x.csv", "before,after,label", f'"{BEFORE}", "{AFTER}", 1', "a b, a c, 0")
    assert edits(path) == [("a b", "a c")]
    assert reasons(path) == ["a space before a quote, so it may be no text; take it out"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "x.json", "x.m2"])
def test_utf_16_is_told_without_its_mark(tmp_path, name, encoding):
    (tmp_path / name).write_bytes(json.dumps(LABELLED).encode(encoding))
    with pytest.raises(UserError, match=f"{name}: it is UTF-16; save it as UTF-8"):
        items(tmp_path)


def test_what_tables_have_for_nothing_says_nothing(tmp_path):
    nothing = dict.fromkeys(("task", "kind", "part", "source", "split"), float("nan"))
    (row,) = items(write(tmp_path / "x.jsonl", EDIT | nothing))
    assert (row.relation, row.kind, row.part, row.split) == ("correction", "unknown", "mine", None)


def test_moments_that_python_does_not_know_may_be_of_few_values(tmp_path):
    moments = pa.array([2**62], pa.timestamp("s")).dictionary_encode()
    feather.write_feather(pa.table({"src": [BEFORE], "tgt": [AFTER], "at": moments}), str(tmp_path / "x.arrow"))
    assert edits(tmp_path) == [(BEFORE, AFTER)]


def test_a_field_of_a_field_is_named_by_its_path(tmp_path):
    path = write(tmp_path / "x.jsonl", {"data": {"of": EDIT | {"set": "test"}}})
    columns = {"src": "data.of.src", "tgt": "data.of.tgt"}
    assert [(row.after, row.split) for row in items(path, {"columns": columns})] == [(AFTER, "test")]


# Tasks.


@pytest.mark.parametrize("prefix", ["gec:", "改正：", "Mend it : ", "Fix grammar:\n"])
def test_an_instruction_ends_at_any_colon(tmp_path, prefix):
    path = write(
        tmp_path / "x.jsonl", *({"src": f"{prefix}She go at {n}:30.", "tgt": f"She goes at {n}:30."} for n in "123")
    )
    assert edits(path) == [(f"She go at {n}:30.", f"She goes at {n}:30.") for n in "123"]


@pytest.mark.parametrize("task", ["GEC", " gec", "Proof reading"])
def test_a_task_is_known_in_any_case_and_spacing(tmp_path, task):
    path, relations = write(tmp_path / "x.jsonl", EDIT | {"task": task}), {"proof reading ": "correction"}
    assert edits(path, relations=relations) == [(BEFORE, AFTER)]
    assert edits(path, relations=relations, tasks=["Gec", "proof reading"]) == [(BEFORE, AFTER)]
    assert reasons(path, relations=relations, tasks=["paraphrase"]) == [f"task: not among data.tasks; found {task!r}"]


# M2.

VERB = "A 1 2|||{}|||{}|||REQUIRED|||-NONE-|||{}"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["A 1 2 ||| R:VERB ||| goes ||| REQUIRED ||| -NONE- ||| 0"], [(BEFORE, AFTER)]),
        (["A 1 2 ||| U:VERB ||| -NONE- ||| REQUIRED ||| -NONE- ||| 0"], [(BEFORE, "She home.")]),
        (["A -1 -1 ||| noop ||| -NONE- ||| REQUIRED ||| -NONE- ||| 0"], [(BEFORE, BEFORE)]),
        (["A -1 -1|||None|||-NONE-|||REQUIRED|||-NONE-|||0"], [(BEFORE, BEFORE)]),
        ([VERB.format("R:VERB", "goes", 0), "S He go ."], [(BEFORE, AFTER), ("He go.", "He go.")]),
        (["T0-A0 She goes home .", VERB.format("S:VERB", "goes", 0)], [(BEFORE, AFTER)]),
        (["T0-A0 She home .", VERB.format("R:VERB", "-NONE-", 0)], [(BEFORE, "She home.")]),  # R: is redundant there
    ],
)
def test_m2_of_other_tools(tmp_path, lines, found):
    assert edits(write(tmp_path / "x.m2", "S She go home .", *lines)) == found


def test_no_annotator_of_cherrant_is_made_up(tmp_path):
    """Its sentences have as many references as were written."""
    one, two = (f"A 1 1|||M|||们|||REQUIRED|||-NONE-|||{number}" for number in (0, 1))
    path = write(tmp_path / "x.m2", "S 我 去", "T0-A0 我 们 去", one, "", "S 他 去", "T0-A0 他 们 去", one, two)
    assert edits(path) == [("我去", "我们去"), ("他去", "他们去"), ("他去", "他们去")]


@pytest.mark.parametrize("edit", [("UNK", "go"), ("Um", ""), ("UNK", "-NONE-"), ("R:VERB", "-NONE-")])
def test_an_annotator_who_knows_no_correction_leaves_no_sentence_as_it_is(tmp_path, edit):
    path = write(tmp_path / "x.m2", "S She go home .", VERB.format(*edit, 0), VERB.format("R:VERB", "goes", 1))
    assert edits(path) == [(BEFORE, AFTER)]
    assert reasons(path) == ["M2: a mistake without its correction; 1 2"]


# Plain files, preferences, essays.


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        ("src-train.txt", ["tgt-train.txt"]),
        ("source_train.txt", ["target_train.txt"]),
        ("src.train.bpe.txt.gz", ["tgt.train.bpe.txt"]),
        ("train.incorrect", ["train.correct"]),
        ("input.txt", ["output.txt"]),
        ("dev.src", ["dev.ref.0", "dev.ref.1", "dev.ref.10"]),
        ("dev.src", ["dev.ref-0"]),
    ],
)
def test_more_names_of_plain_files(tmp_path, source, targets):
    content = f"{BEFORE}\n".encode()
    (tmp_path / source).write_bytes(gzip.compress(content) if source.endswith(".gz") else content)
    for number, target in enumerate(targets):
        write(tmp_path / target, f"{AFTER} {number}")
    assert edits(tmp_path) == [(BEFORE, f"{AFTER} {number}") for number in range(len(targets))]


def test_what_a_system_put_out_is_no_correction_of_a_source(tmp_path):
    write(tmp_path / "dev.src", BEFORE)
    write(tmp_path / "dev.ref", AFTER)
    write(tmp_path / "dev.output", BEFORE)
    assert edits(tmp_path) == [(BEFORE, AFTER)]


@pytest.mark.parametrize(
    "answer",
    [
        lambda text: {"role": "assistant", "content": text},
        lambda text: [{"role": "user", "content": "x"}, {"role": "assistant", "content": [{"text": text}]}],
        lambda text: [{"from": "human", "value": "x"}, {"from": "gpt", "value": text}],
    ],
)
def test_answers_of_a_preference_as_turns(tmp_path, answer):
    path = write(tmp_path / "x.jsonl", {"chosen": answer(AFTER), "rejected": answer(BEFORE)})
    assert edits(path) == [(BEFORE, AFTER)]


def test_an_answer_in_several_parts_is_not_cut(tmp_path):
    parts = {"role": "assistant", "content": [{"text": "It is."}, {"text": AFTER}]}
    path = write(tmp_path / "x.jsonl", {"chosen": [parts], "rejected": BEFORE}, {"chosen": AFTER, "rejected": BEFORE})
    assert edits(path) == [(BEFORE, AFTER)]
    assert [reason[:22] for reason in reasons(path)] == ["chosen: expected text;"]


def test_essays_as_the_hub_has_them(tmp_path):
    good = {"text": "She go home. He is ill.", "edits": {"start": [4], "end": [6], "text": ["goes"]}}
    bad = [good | {"edits": wrong} for wrong in ({"start": [4], "end": [6]}, good["edits"] | {"end": [6, 7]})]
    path = write(tmp_path / "x.jsonl", good, *bad)
    assert edits(path) == [(BEFORE, AFTER), ("He is ill.", "He is ill.")]
    assert len(reasons(path)) == 2
