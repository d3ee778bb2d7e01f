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
        ("non-train.jsonl", "test"),
    ],
)
def test_names_of_splits_in_other_words(name, split):
    assert split_of_path(name) == split


@pytest.mark.parametrize(
    "name", ["gecdev.jsonl", "validate.jsonl", "jflegvalid.jsonl", "MuCGEC测试集.jsonl", "train/gectest.jsonl",
             "gectest/train.jsonl", "train/validating.jsonl"],
)  # fmt: skip
def test_a_word_that_may_say_that_a_file_is_held_out_is_refused_also_in_a_folder_for_training(name):
    with pytest.raises(ValueError, match="in its name may say that it is held out"):
        split_of_path(name)


@pytest.mark.parametrize("column", ["is_test", "inTrain", "meta.dev_set", "测试"])
@pytest.mark.parametrize("values", [(True, False), (1, 0), ("yes", "No"), (None, "1.0"), ("Y", "n"), ("x", "")])
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


@pytest.mark.parametrize("column", ["set", "subset", "data_split", "meta.fold"])
@pytest.mark.parametrize("blank", [0, 120])
def test_a_column_called_for_splits_says_them_in_any_words(tmp_path, column, blank):
    values = [None] * blank + ["train", "test (unseen)", "Dev-challenge", "gold", "train_a"]
    outer, _, inner = column.partition(".")
    rows = [LABELLED | {outer: {inner: value} if inner else value} for value in values]
    found = items(write(tmp_path / "x.jsonl", *rows))[blank:]
    assert [item.split if isinstance(item, Row) else item.reason for item in found] == [
        "train", "test", "validation", "split: neither train, validation nor test; found 'gold'", "train",
    ]  # fmt: skip


def test_a_column_split_that_is_blank_says_nothing(tmp_path):
    path = write(tmp_path / "x.jsonl", *(LABELLED | {"split": None, "set": its} for its in ("train", "test")))
    assert [row.split for row in items(path)] == ["train", "test"]
    write(path, *[LABELLED | {"set": None, "split": ""}] * 120, LABELLED | {"split": "test"})  # it may come later
    assert [row.split for row in items(path)][119:] == [None, "test"]


def test_a_column_of_splits_and_other_words_is_refused(tmp_path):
    path = write(tmp_path / "x.jsonl", *(LABELLED | {"phase": value} for value in ("train", "test", "warm-up")))
    with pytest.raises(UserError, match=r"a column may say the split \(phase\)"):
        items(path)
    write(path, *(LABELLED | {"phase": value} for value in ("train", "bus")))  # may be about travel
    assert {row.split for row in items(path)} == {None}


def test_the_repositorys_own_name_says_no_split(tmp_path, monkeypatch):
    """DVC names the repository to its stages."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "gec-dev"))
    write(tmp_path / "gec-dev/x.jsonl", LABELLED)
    write(tmp_path / "gec-dev/test/in/x.jsonl", LABELLED)
    for path, split in (("x.jsonl", None), ("test/in/..", "test"), ("test/in/../", "test"), ("./test", "test")):
        assert {row.split for row in items(path)} == {split}


def test_two_stars_of_a_glob_stand_for_no_folder_too(tmp_path):
    for name in ("x.jsonl", "a/x.jsonl", "a/b/x.jsonl", "a/y.json"):
        write(tmp_path / name, LABELLED)
    assert {row.file for row in items(tmp_path, {"files": "**/*.jsonl"})} == {"x.jsonl", "a/x.jsonl", "a/b/x.jsonl"}
    assert {row.file for row in items(tmp_path, {"files": "a/**/x.jsonl"})} == {"a/x.jsonl", "a/b/x.jsonl"}


def test_a_card_within_the_folder_is_not_passed_over(tmp_path):
    card = ["---", "configs:", "- {config_name: x, data_files: {train: a.jsonl, test: gold.jsonl}}", "---"]
    for name in ("clone/a.jsonl", "clone/gold.jsonl"):
        write(tmp_path / name, LABELLED)
    write(tmp_path / "clone/README.md", *card)
    with pytest.raises(UserError, match=r"clone has a card that says which files .*\{path: \S+clone\}"):
        items(tmp_path)
    assert [row.split for row in items(tmp_path / "clone")] == ["train", "test"]
    assert [row.split for row in items(tmp_path, {"files": "*/a.jsonl", "split": "train"})] == ["train"]


def test_a_rule_at_the_head_of_a_readme_is_no_card(tmp_path):
    write(tmp_path / "x.jsonl", LABELLED)
    write(tmp_path / "README.md", "---", "This: is: text")
    assert edits(tmp_path) == [(BEFORE, AFTER)]


def test_two_stars_at_the_end_of_a_cards_path_stand_for_all_files_below(tmp_path):
    for name in ("train/x.jsonl", "gold/a/b/x.jsonl"):
        write(tmp_path / name, LABELLED)
    files = "{train: train/**, test: gold/**}"
    write(tmp_path / "README.md", "---", "configs:", f"- {{config_name: x, data_files: {files}}}", "---")
    assert {row.file: row.split for row in items(tmp_path)} == {"train/x.jsonl": "train", "gold/a/b/x.jsonl": "test"}


def test_a_folder_in_a_card_is_no_file(tmp_path):
    write(tmp_path / "data/x.jsonl", LABELLED)
    write(tmp_path / "README.md", "---", "configs:", "- {config_name: x, data_files: data}", "---")
    with pytest.raises(UserError, match=r"README\.md: configs: 'data' is no file here"):
        items(tmp_path)


# Labels.


@pytest.mark.parametrize(
    "column",
    ["score", "is_correct", "judgement", "labels", "gold_label", "Quality", "acceptability", "class", "accepted",
     "Grade", "is_error", "winner", "preferred", "better", "decision", "human_ranking", "gold"],
)  # fmt: skip
def test_a_column_that_may_judge_the_edit_makes_no_correction_of_it(tmp_path, column):
    path = write(tmp_path / "x.jsonl", {"src": AFTER, "tgt": BEFORE, column: 0})
    told = rf"x\.jsonl: the column '{column}' may be a label; say so in the source, columns: \{{label: {column}\}}, or"
    with pytest.raises(UserError, match=told):
        items(path)
    assert [row.label for row in items(path, {"columns": {"label": column}})] == [0]
    assert [row.relation for row in items(path, {"format": "parallel"})] == ["correction"]


@pytest.mark.parametrize(
    ("record", "column"),
    [
        ({"translation": {"src": AFTER, "tgt": BEFORE, "label": 0}}, "translation.label"),
        ({"translation": {"incorrect": AFTER, "correct": BEFORE, "by": {"score": 0}}}, "translation.by.score"),
        ({"src": AFTER, "tgt": BEFORE, "meta": {"score": 0.1}}, "meta.score"),
        ({"src": AFTER, "tgt": BEFORE, "opinion": "bad"}, "opinion"),
        ({"src": AFTER, "tgt": BEFORE, "by": {"people": "Not acceptable"}}, "by.people"),
        ({"src": AFTER, "tgt": BEFORE, "annotations": [{"label": 0}]}, "annotations.label"),
        ({"src": AFTER, "tgt": BEFORE, "by": [{"at": 1}, {"said": {"choices": ["bad"]}}]}, "by.said.choices"),
    ],
)
def test_a_field_or_a_word_that_may_judge_makes_none_either(tmp_path, record, column):
    with pytest.raises(UserError, match=rf"the column '{column}' may be a label"):
        items(write(tmp_path / "x.jsonl", record))


def test_a_label_that_comes_late_is_no_correction(tmp_path):
    path = write(tmp_path / "x.jsonl", *[EDIT] * 120, {"src": AFTER, "tgt": BEFORE, "label": 0})
    assert edits(path) == [(BEFORE, AFTER)] * 120
    assert reasons(path) == ["label: the first rows of the file have none, so none is read"]
    assert len(edits(path, {"format": "parallel"})) == 121


def test_a_folder_named_as_a_column_with_its_value_is_one(tmp_path):
    """As those have it who write a file for each value."""
    for label in "01":
        write(tmp_path / f"label={label}/lang=en/x.jsonl", {"src": AFTER, "tgt": BEFORE})
    write(tmp_path / "split=train/x.test.jsonl", LABELLED)
    assert [(row.label, row.split) for row in items(tmp_path, {"files": "label*", "split": "cut"})] == [
        (0, None), (1, None),
    ]  # fmt: skip
    assert [row.split for row in items(tmp_path, {"files": "split*"})] == ["test"]


@pytest.mark.parametrize("settings", [{"labels": {"good": 1, "bad": 0}}, {"threshold": 0.5}])
def test_a_meaning_of_labels_that_are_not_read_is_refused(tmp_path, settings):
    path = write(tmp_path / "x.jsonl", EDIT | {"points": 0.1})
    told = r"x\.jsonl: the source says what labels mean, but its format parallel has none; .*\{label: ITS-NAME"
    with pytest.raises(UserError, match=told):
        items(path, settings)


def test_two_pairs_of_sentences_have_to_be_chosen_from(tmp_path):
    path = write(tmp_path / "x.jsonl", {"source": "lang8", "target": "x", "original": BEFORE, "corrected": AFTER})
    with pytest.raises(
        UserError, match="may be source, target or original, corrected; say it in the source, columns: "
    ):
        items(path)
    for names in (("src", "tgt"), ("original", "corrected")):
        columns = dict(zip(names, ("original", "corrected"), strict=True))
        assert edits(path, {"columns": columns}) == [(BEFORE, AFTER)]


def test_a_column_of_ours_that_is_not_known_is_refused(tmp_path):
    path = write(tmp_path / "x.jsonl", LABELLED | {"judgement": 0})
    with pytest.raises(UserError, match=r"data\.source: columns: 'lable' is none of after, .*label"):
        items(path, {"columns": {"lable": "judgement"}})


@pytest.mark.parametrize("beside", [{"score": None}, {"corrections": 2, "id": 1, "level": "B1"}, {"kind": "correct"},
                                    {"error_type": "VERB", "is_native": True, "set": "A", "split_id": 7}])  # fmt: skip
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


@pytest.mark.parametrize("column", ["edit_intention", "meta.style"])
def test_a_column_of_nothing_but_tasks_under_another_name_is_refused(tmp_path, column):
    outer, _, inner = column.partition(".")
    path = write(tmp_path / "x.jsonl", *(EDIT | {outer: {inner: its} if inner else its} for its in ("gec", "Clarity")))
    with pytest.raises(UserError, match=rf"'{column}' may be a task; say so .*columns: \{{task: {column}\}}"):
        items(path)
    assert [row.relation for row in items(path, {"columns": {"task": column}})] == ["correction", "rewrite"]


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


@pytest.mark.parametrize("beside", ["x.json", "json/A.train.csv"])
def test_m2_beside_tables_has_to_be_chosen_from(tmp_path, beside):
    """W&I and FCE have the same essays as JSON and as M2."""
    write(tmp_path / "m2/A.train.gold.bea19.m2", "S She go home .", VERB.format("R:VERB", "goes", 0))
    write(tmp_path / beside, "src,tgt\na b,a c" if beside.endswith("csv") else EDIT)
    with pytest.raises(UserError, match=rf"holds M2 and {beside.split('/')[-1]}; choose one by format or files"):
        items(tmp_path)
    assert edits(tmp_path, {"format": "m2"}) == edits(tmp_path, {"files": "*.m2"}) == [(BEFORE, AFTER)]
    assert len(edits(tmp_path, {"format": "parallel"})) == 1


# Plain files, preferences, essays.


@pytest.mark.parametrize("names", [("x.src", "x.tgt"), ("src.txt", "tgt.txt"), ("x.src", "x.ref0", "x.ref1")])
def test_plain_files_and_their_compressed_copies_are_read_once(tmp_path, names):
    for name, text in zip(names, (BEFORE, AFTER, AFTER), strict=False):
        write(tmp_path / name, text)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(f"{text}\n".encode()))
    assert edits(tmp_path) == edits(tmp_path / names[0]) == [(BEFORE, AFTER)] * (len(names) - 1)
    assert fetch_data(f"path:{tmp_path}").ignored == tuple(sorted(f"{name}.gz" for name in names))


def test_plain_files_of_two_forms_keep_their_own_corrections(tmp_path):
    for name, text in (("orig", BEFORE), ("corr", AFTER), ("src", "She go home ."), ("tgt", "She goes home .")):
        write(tmp_path / f"train.{name}", text)
    assert edits(tmp_path) == [(BEFORE, AFTER), ("She go home .", "She goes home .")]
    (tmp_path / "train.tgt").unlink()
    assert edits(tmp_path / "train.src") == [("She go home .", AFTER)]


def test_a_conversation_written_as_text_is_no_sentence(tmp_path):
    """As pandas writes a list into CSV."""
    chosen, rejected = (str([{"role": "assistant", "content": text}]) for text in (AFTER, BEFORE))
    path = write(tmp_path / "x.jsonl", {"chosen": chosen, "rejected": rejected}, {"chosen": AFTER, "rejected": BEFORE})
    assert edits(path) == [(BEFORE, AFTER)]
    assert [reason.partition(";")[0] for reason in reasons(path)] == [
        "chosen, rejected: a conversation written as text"
    ]


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
