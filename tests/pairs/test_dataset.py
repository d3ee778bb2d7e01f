"""Rows become splits: groups are never cut, no row is lost, and neither order nor the number of workers matters."""

import json
import random
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluency.corpus.rows import REJECTED_SCHEMA, ROW_SCHEMA, SPLITS, Rejected, Row, rejected_values, row_values
from fluency.edits.sentence import hash64, normalise
from fluency.pairs import dataset
from fluency.pairs.dataset import PAIR_SCHEMA, build_dataset
from fluency.pairs.groups import groups
from fluency.pairs.splits import NOT_GIVEN, cut_splits, lacking
from fluency.params import load_params
from fluency.utils import files
from fluency.utils.errors import UserError
from fluency.utils.files import parquet_sink, write_json
from stages import build_pairs

PARAMS = replace(load_params().pairs, near_duplicates=None)
ABSURD = replace(PARAMS.augment.absurd, share=1.0)  # of every plain sentence
WORDS = ["we", "like", "the", "old", "house", "near", "a", "river", "and", "its", "cats"]


def labelled(before: str, after: str, label: int, split: str | None = None, **others) -> Row:
    row = Row("labelled", before, after, None, None, None, label, "unknown", "p", "c", split, "f", 1)
    return replace(row, **others)


def sentence(text: str) -> Row:
    return Row("sentence", text, None, None, None, None, None, "plain", "hand-written", "c", None, "f", 1)


def many(count: int, split: str | None = None, seed: int = 0, **others) -> list[Row]:
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        words = [*rng.choices(WORDS, k=6), f"n{number}"]
        rows.append(labelled(" ".join(words), " ".join(["They", *words[1:]]), number % 2, split, **others))
    return rows


def build(folder: Path, rows, params=PARAMS, *, rejected=(), processes=1, cut=()):
    """The pairs by split, the rejected rows and the audit."""
    raw, pairs = folder / "raw", folder / "pairs"
    for path in (raw, pairs):
        path.mkdir(parents=True)
    with parquet_sink(raw / "rows.parquet", ROW_SCHEMA) as add:
        for row in rows:
            add(row_values(row))
    with parquet_sink(raw / "rejected.parquet", REJECTED_SCHEMA) as add:
        for row in rejected:
            add(rejected_values(row))
    audit, notes = build_dataset(raw, pairs, params, cut=cut, processes=processes)
    assert all(note in (pairs / "AUDIT.md").read_text(encoding="utf-8") for note in notes)
    splits = {split: pq.read_table(pairs / f"{split}.parquet").to_pylist() for split in SPLITS}
    assert audit["rows"]["read"] == len(rows) + len(rejected)
    assert sum(audit["rows"].values()) == 2 * audit["rows"]["read"]
    return splits, pq.read_table(pairs / "rejected.parquet").to_pylist(), audit


def sizes(splits) -> dict[str, int]:
    return {split: len(pairs) for split, pairs in splits.items()}


def all_pairs(splits):
    return [pair for pairs in splits.values() for pair in pairs]


def test_files_hold_pairs_by_the_contract(tmp_path):
    splits, _, _ = build(tmp_path, many(60))
    assert pq.read_schema(tmp_path / "pairs/train.parquet").equals(PAIR_SCHEMA)
    for pair in all_pairs(splits):
        assert pair["before"][pair["edit_start"] : pair["edit_end"]] == pair["removed"]
        assert (
            pair["before"][: pair["edit_start"]] + pair["inserted"] + pair["before"][pair["edit_end"] :]
            == pair["after"]
        )
    assert sorted(path.name for path in (tmp_path / "pairs").iterdir()) == [
        "AUDIT.md", "rejected.parquet", "test.parquet", "train.parquet", "validation.parquet",
    ]  # fmt: skip


def test_case_spacing_and_unicode_form_make_no_other_sentence():
    """A ligature and a combining accent, against plain letters and a composed one."""
    assert normalise(" THE  \ufb01ance\u0301 ") == normalise("the fianc\u00e9") == "the fianc\u00e9"
    assert normalise("the fiance") != normalise("the fianc\u00e9")


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_but_the_order_of_pairs(tmp_path_factory, rng):
    rows = [
        *many(60), *many(20, part="q"), many(1)[0], labelled("a b", "a c", 0), labelled("A  b", "a d", 1),
        *(sentence(f"She has given {number} of them an apple because they were hungry.") for number in range(5)),
    ]  # fmt: skip
    shuffled = rng.sample(rows, len(rows))
    params = replace(PARAMS, augment=replace(PARAMS.augment, absurd=ABSURD), near_duplicates=0.9)
    one, other = (build(tmp_path_factory.mktemp("order"), its, params) for its in (rows, shuffled))
    assert {"rule-made", "absurd"} <= {pair["part"] for pair in all_pairs(one[0])}
    for split in SPLITS:
        assert sorted(one[0][split], key=lambda p: p["id"]) == sorted(other[0][split], key=lambda p: p["id"])
    assert one[2] == other[2]


def test_the_number_of_workers_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_ROW_GROUP", 50)
    rows = [*many(150), *(sentence(f"She has {number} apples because they were hungry.") for number in range(50))]
    one, two = build(tmp_path / "one", rows, processes=1), build(tmp_path / "two", rows, processes=2)
    assert pq.ParquetFile(tmp_path / "one/raw/rows.parquet").num_row_groups == 4
    assert one == two
    for name in ("train.parquet", "AUDIT.md"):
        assert (tmp_path / "one/pairs" / name).read_bytes() == (tmp_path / "two/pairs" / name).read_bytes()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 25), st.integers(0, 25), st.sampled_from([NOT_GIVEN, NOT_GIVEN, 0, 1, 2]), st.integers(0, 2)
        ),
        min_size=1,
        max_size=60,
    )
)
def test_no_group_that_we_cut_is_in_two_splits(edges):
    rows = np.repeat(np.arange(len(edges)), 2)
    keys = np.array([hash64(normalise(f"S{end} ")) for edge in edges for end in edge[:2]], dtype=np.uint64)
    given = np.array([edge[2] for edge in edges])
    corpora, group = np.array([edge[3] for edge in edges]), groups(keys, rows, len(edges))
    try:
        lacks, _ = lacking(given, corpora, ())
        split = cut_splits(group, given, corpora, corpora, "abc", np.ones(len(edges)), lacks, PARAMS.split, 1)
    except UserError:
        assert not {NOT_GIVEN, 0} & set(given.tolist())
        return
    kept = (given > 0) & ({NOT_GIVEN, 0} & set(given.tolist()) != set())
    assert (split[kept] == given[kept]).all()
    for name in set(group.tolist()):
        members = group == name
        if not (members & kept).any():
            assert len(set(split[members].tolist())) == 1
        else:
            assert set(split[members & ~kept].tolist()) <= {0}


def test_groups_are_sentences_shared_up_to_case_spacing_and_form(tmp_path):
    rows = [labelled("One  cat", "one dog", 1), labelled("ONE DOG", "one ﬁsh", 0), labelled("One fish", "one", 1)]
    splits, _, _ = build(tmp_path, [*many(100), *rows])
    found = {pair["before"]: pair["group"] for pair in all_pairs(splits)}
    assert found["One  cat"] == found["ONE DOG"] == found["One fish"]
    assert len(set(found.values())) == 101


def test_splits_have_their_shares_in_every_part(tmp_path):
    rows = many(400) + [replace(row, part="q", before=f"q {row.before}", after=f"q {row.after}") for row in many(400)]
    splits, _, audit = build(tmp_path, rows)
    for part in "pq":
        counts = {split: audit["splits"][split]["parts"][part] for split in splits}
        assert list(counts.values()) == [pytest.approx(share, abs=4) for share in (280, 40, 80)]


def test_many_small_parts_have_their_shares_together(tmp_path):
    rows = [replace(row, part=f"document {number // 2}") for number, row in enumerate(many(1000))]
    splits, _, _ = build(tmp_path, rows)
    assert list(sizes(splits).values()) == [pytest.approx(share, abs=60) for share in (700, 100, 200)]


def test_given_splits_are_kept_and_a_missing_one_is_cut_from_train(tmp_path):
    rows = many(200, "train") + many(40, "validation", seed=1)
    splits, _, _ = build(tmp_path, rows)
    assert sizes(splits) == {"train": 160, "validation": 40, "test": 40}
    kept = {(row.before, row.after) for row in rows if row.split == "validation"}
    assert {(pair["before"], pair["after"]) for pair in splits["validation"]} == kept


def test_rows_without_a_split_join_train_where_the_others_of_their_corpus_have_one(tmp_path):
    rows = many(40, "train") + many(40, "validation", seed=1) + many(40, "test", seed=2)
    splits, _, _ = build(tmp_path, [*rows, *many(10, None, seed=3)])
    assert sizes(splits) == {"train": 50, "validation": 40, "test": 40}


@pytest.mark.parametrize(
    ("brought", "own", "cut", "expected", "told"),
    [
        (("train", "validation", "test"), (None,), (), [100, 0, 0], "validation and test"),
        (("validation", "test"), (None,), (), [100, 0, 0], "validation and test"),
        (("test",), (None,), (), [90, 10, 0], "test"),  # validation, as none has one
        (("train", "test"), (None,), (), [90, 10, 0], "test"),
        (("test",), (None, "train"), (), [180, 20, 0], "test"),
        (("validation", "test"), ("train", "validation"), (), [100, 100, 0], "test"),
        (("train", "validation", "test"), (None,), ("d",), [70, 10, 20], None),
        (("train", "validation"), (None,), (), [70, 10, 20], None),  # no benchmark: one of everything
        ((None,), (None,), (), [70, 10, 20], None),
    ],
)
def test_a_benchmark_is_not_diluted_by_a_source_without_splits(tmp_path, brought, own, cut, expected, told):
    bench = [row for seed, split in enumerate(brought) for row in many(200, split, seed=seed)]
    other = [replace(row, corpus="d") for seed, split in enumerate(own, 10) for row in many(100, split, seed=seed)]
    _, _, audit = build(tmp_path, [*bench, *other], cut=cut)
    assert [its["corpora"].get("d", 0) for its in audit["splits"].values()] == pytest.approx(expected, abs=2)
    said = re.findall(r"d is not cut into (.*), which other sources bring", (tmp_path / "pairs/AUDIT.md").read_text())
    assert said == ([told] if told else [])


def test_the_stage_says_what_was_decided(tmp_path, monkeypatch, capsys):
    build(tmp_path / "data", [*many(200, "train"), *many(200, "test", seed=1), *many(100, seed=2, corpus="d")])
    shutil.copy("params.yaml", tmp_path)
    write_json(tmp_path / "data/raw/manifest.json", [{"corpus": name, "split": None} for name in "cd"])
    monkeypatch.chdir(tmp_path)
    build_pairs.main()
    assert capsys.readouterr().err == (
        "d is not cut into test, which other sources bring: it would be another benchmark (split: cut of the source "
        "cuts it)\n"
    )


MARKUP = ("a&Eacute;b", "a &frac12; b", "a&#X27;s", "a&#39;s", "a &amp; b", "a <del>b</del>")


@pytest.mark.parametrize(("text", "count"), [*((text, 1) for text in MARKUP), ("a Q&A; b", 0), ("R&D; a < b & c;", 0)])
def test_entities_of_any_kind_are_counted_as_markup(tmp_path, text, count):
    _, _, audit = build(tmp_path, [*many(60), labelled(f"{text} c", f"{text} d", 1)])
    assert audit["corpora"]["c"]["all"]["markup"] == count


def test_what_the_cut_must_not_take_leaks_from_train(tmp_path):
    published = many(40, "train") + many(40, "validation", seed=1) + many(40, "test", seed=2)
    other = [replace(row, corpus="d") for row in many(100, seed=3)]
    shared = [replace(row, corpus="d", split=None) for row in published[-5:]]
    splits, _, audit = build(tmp_path, [*published, *other, *shared], cut=["d"])
    assert sizes(splits) == {"train": 40 + 70 + 5, "validation": 50, "test": 60}
    assert audit["leakage"]["test"]["rows"] == 5


def test_a_corpus_that_is_all_train_dilutes_no_benchmark(tmp_path):
    bench = many(20, "validation", seed=1) + many(28, "test", seed=2)
    train = [replace(row, corpus="d") for row in many(100, "train", seed=3)]
    splits, _, audit = build(tmp_path / "one", [*bench, *train])
    assert sizes(splits) == {"train": 100, "validation": 20, "test": 28}
    assert [its["corpora"] for its in audit["splits"].values()] == [{"d": 100}, {"c": 20}, {"c": 28}]
    page = (tmp_path / "one/pairs/AUDIT.md").read_text(encoding="utf-8")
    assert re.search(r"\| d +\| +100 \(100%\) \| +0 \(0%\) \| +0 \(0%\) \|", page)
    # beside one that is cut itself, too
    splits, _, audit = build(tmp_path / "two", [*many(200, seed=1), *train])
    assert [its["corpora"].get("d", 0) for its in audit["splits"].values()] == [100, 0, 0]
    # what no other has is cut out of it
    splits, _, audit = build(tmp_path / "three", [*many(28, "test", seed=2), *train])
    assert {name: its["corpora"].get("d", 0) for name, its in audit["splits"].items()} == {
        "train": 90, "validation": 10, "test": 0,
    }  # fmt: skip


@pytest.mark.parametrize("splits", [("validation", "test"), ("validation",), ("test",)])
def test_nothing_to_train_on_is_named(tmp_path, splits):
    """What is held out is not cut into train, also where nothing else is there."""
    told = rf"data\.source: it has {' and '.join(splits)} rows, but none to train on; .* split: cut"
    with pytest.raises(UserError, match=told):
        build(tmp_path, [row for seed, split in enumerate(splits) for row in many(40, split, seed=seed)])


LEAKING = [
    *many(60, "train"), *many(20, "validation", seed=1), *many(20, "test", seed=2),
    labelled("a b", "a c", 1, "train"), labelled("a b", "a d", 1, "validation"),
    labelled("A  c", "e f", 1, "test"), labelled("x y", "x z", 1, "validation"), labelled("x y", "x w", 1, "test"),
]  # fmt: skip


def test_leakage_between_given_splits_is_counted(tmp_path):
    _, rejected, audit = build(tmp_path, LEAKING)
    assert audit["leakage"] == {
        "validation": {"rows": 1, "rows_normalised": 1, "rows_near": 1, "groups": 1, "corpora": {"c": 1}},
        "test": {"rows": 1, "rows_normalised": 2, "rows_near": 2, "groups": 2, "corpora": {"c": 2}},
    }
    assert rejected == []


def test_leaking_rows_are_dropped_from_the_earlier_split(tmp_path):
    splits, rejected, audit = build(tmp_path, LEAKING, replace(PARAMS, leakage="drop_train"))
    assert sizes(splits) == {"train": 60, "validation": 21, "test": 22}
    assert sorted(json.loads(item["row"])["after"] for item in rejected) == ["a c", "x z"]
    assert audit["rejected"] == {"leakage": 2}
    assert all(its["rows_normalised"] == its["groups"] == 0 for its in audit["leakage"].values())
    groups_of = [{pair["group"] for pair in pairs} for pairs in splits.values()]
    assert len(set.union(*groups_of)) == sum(map(len, groups_of))


def test_train_does_not_give_way_to_rows_that_are_gone(tmp_path):
    chain = [
        labelled("q a", "r a", 1, "train"),
        labelled("r a", "s a", 1, "validation"),
        labelled("s a", "t a", 1, "test"),
    ]
    rows = [*many(60, "train"), *many(20, "validation", seed=1), *many(20, "test", seed=2), *chain]
    _, rejected, _ = build(tmp_path, rows, replace(PARAMS, leakage="drop_train"))
    assert [json.loads(item["row"])["split"] for item in rejected] == ["validation"]


def test_leakage_may_stop_the_run(tmp_path):
    with pytest.raises(
        UserError, match=r"pairs\.leakage: 2 rows share a sentence with a later split, or .*; drop_train"
    ):
        build(tmp_path, LEAKING, replace(PARAMS, leakage="fail"))
    build(tmp_path / "clean", many(60), replace(PARAMS, leakage="fail"))


def test_no_absurd_edit_takes_a_sentence_of_another_corpus_or_split(tmp_path):
    """It would leak between splits that are given, whatever `pairs.leakage` says."""
    unrelated = replace(ABSURD, rates=dict.fromkeys(ABSURD.rates, 0.0) | {"unrelated": 1.0})
    params = replace(PARAMS, leakage="fail", augment=replace(PARAMS.augment, absurd=unrelated))
    rows = [
        replace(sentence(f"She has a {split} {corpus} number {number} ."), split=split, corpus=corpus)
        for number in range(20) for corpus in "cd" for split in SPLITS
    ]  # fmt: skip
    splits, _, _ = build(tmp_path, rows, params)
    absurd = [pair for pair in all_pairs(splits) if pair["part"] == "absurd"]
    assert len(absurd) == len(rows)
    assert all(pair["before"].split()[3:5] == pair["after"].split()[3:5] != [] for pair in absurd)


def test_rejected_rows_are_kept_whole_with_their_reason(tmp_path):
    two = labelled("He go home and eat it.", "He goes home and eats it.", 1, line=7)
    same, bare = labelled("Same.", "Same.", 1), sentence("Hm.")
    unread = Rejected("not JSON; x", "c", "f", 3, "{broken")
    no_absurd = replace(PARAMS.augment, absurd=replace(PARAMS.augment.absurd, share=0.0))
    params = replace(PARAMS, augment=no_absurd)
    _, rejected, audit = build(tmp_path, [*many(60), two, same, bare], params, rejected=[unread])
    assert audit["rejected"] == {
        "a plain sentence": 1, "more than one edit": 1, "no edit": 1, "not JSON": 1,
    }  # fmt: skip
    assert rejected[0]["row"] == "{broken"
    assert [Row(**json.loads(item["row"])) for item in rejected[1:]] == [two, same, bare]
    assert rejected[1]["line"] == 7


def test_sentences_for_which_no_edit_is_drawn_are_not_rejected(tmp_path):
    """Nearly all by design: `per_sentence` and `absurd.share` leave most of them out."""
    sentences = [sentence(f"She has given {number} apples to him.") for number in range(100)]
    short = [sentence(f"Hm{'m' * number}.") for number in range(100)]  # no rule finds a place in them
    half = replace(PARAMS.augment, per_sentence=0.5, absurd=replace(PARAMS.augment.absurd, share=0.0))
    _, rejected, audit = build(tmp_path, [*many(60), *sentences, *short], replace(PARAMS, augment=half))
    assert audit["rows"]["not_drawn"] == pytest.approx(100, abs=20)
    assert audit["rejected"] == {"a plain sentence": len(rejected)} == {"a plain sentence": pytest.approx(50, abs=15)}
    assert {item["reason"] for item in rejected} == {"a plain sentence; what pairs.augment drew finds no place in it"}


def test_rows_that_a_bug_would_lose_are_missed_at_the_end_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "_write_rejected", lambda *_: (Counter(), []))
    with pytest.raises(RuntimeError, match="rows were lost between reading and writing"):
        build(tmp_path, [*many(60), labelled("Same.", "Same.", 1)])


def test_several_edits_are_one_where_that_is_wanted(tmp_path):
    two = labelled("He go home and eat it.", "He goes home and eats it.", 1)
    splits, rejected, _ = build(tmp_path, [*many(60), two], replace(PARAMS, single_edit_only=False))
    assert rejected == []
    assert ("go home and eat", "goes home and eats") in {(p["removed"], p["inserted"]) for p in all_pairs(splits)}


def test_duplicates_conflicts_ambiguity_and_markup_are_counted_as_the_source_gives_them(tmp_path):
    plain = [*many(60, "train"), *many(20, "test", seed=1)]
    odd = [
        labelled("a b a", "a b c", 1, "train"),
        labelled("a b a", "a b c", 0, "train"),
        labelled("a b a", "a b c", 0, "test"),
        labelled("x in pain", "x at pain", 1, "train", start=2, removed="in", inserted="at"),
        labelled("left</del>", "right</del>", 1, "train"),
    ]
    before = build(tmp_path / "plain", plain)[2]["corpora"]["c"]
    after = build(tmp_path, [*plain, *odd])[2]["corpora"]["c"]
    wanted = ("rows", "duplicates", "label_conflicts", "ambiguous", "ambiguous_words", "markup")
    assert [after["train"][name] - before["train"][name] for name in wanted] == [4, 1, 1, 3, 2, 1]
    assert [after["test"][name] - before["test"][name] for name in wanted] == [1, 0, 0, 1, 1, 0]
    page = (tmp_path / "pairs/AUDIT.md").read_text(encoding="utf-8")
    assert "label conflict (`f`, line 1, label 0): `a b a` → `a b c`" in page
    assert "markup (`f`, line 1, label 1): `left</del>`" in page
    assert "## Rejected rows\n\nThere are none.\n" in page


def test_repeats_between_corpora_are_counted_by_split(tmp_path):
    one = many(50)
    other = [replace(row, corpus="d", label=1 - row.label) for row in one]
    _, _, audit = build(tmp_path, [*one, *other])
    assert {corpus: its["all"]["label_conflicts"] for corpus, its in audit["corpora"].items()} == {"c": 0, "d": 0}
    for name in ("duplicates", "label_conflicts"):
        assert sum(its[name] for its in audit["splits"].values()) == 50


def test_corpus_text_cannot_break_the_page(tmp_path):
    odd = labelled("``` <b>| x", "``` <b>| y", 1)
    rows = [*many(60, part="one<b>\n\ntwo|"), odd, odd]
    build(tmp_path, rows)
    page = (tmp_path / "pairs/AUDIT.md").read_text(encoding="utf-8")
    assert "```` ``` <b>| x ````" in page
    assert "| one&lt;b&gt; two\\| |" in page


def test_repeated_rows_get_ids_of_their_own(tmp_path):
    pairs = all_pairs(build(tmp_path, [*many(60), many(1)[0]])[0])
    assert len({pair["id"] for pair in pairs}) == 61


def test_an_empty_split_and_one_of_one_label_are_named(tmp_path):
    with pytest.raises(UserError, match=r"split '.*' is empty"):
        build(tmp_path / "few", many(2))
    with pytest.raises(UserError, match="split 'train' has label 1 only"):
        build(tmp_path / "one", [replace(row, label=1) for row in many(50)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": {"typos": 1.0}}, r"pairs\.augment\.rates\.typos: unknown kind; known: agreement"),
        (
            {"absurd": replace(ABSURD, rates={"typos": 1.0})},
            r"pairs\.augment\.absurd\.rates\.typos: unknown kind; known: unrelated",
        ),
    ],
)
def test_an_unknown_kind_of_mistake_is_named(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        build(tmp_path, [sentence("All is well.")], replace(PARAMS, augment=replace(PARAMS.augment, **change)))
