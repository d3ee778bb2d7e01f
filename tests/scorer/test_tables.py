"""Every row of a table goes out once, in its place, with its score or the reason why it has none."""

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from fluency import FluencyScorer
from fluency.corpus.delimited import columns_of
from fluency.corpus.readers import schema_of
from fluency.evaluation.support import Support
from fluency.scorer.table_source import RESULTS
from tests.helpers.tables import BAD, as_text, edits, lines_of, records, write

NAMES = ["jsonl", "jsonl.gz", "csv", "csv.gz", "json", "json.gz", "tsv", "tsv.gz", "arrow", "parquet"]


@pytest.mark.parametrize(("name", "to"), [*zip(NAMES, NAMES, strict=True), *zip(NAMES, NAMES[::-1], strict=True)])
def test_every_container_goes_in_and_out(run, scorer, name, to):
    rows = edits(40)
    write(Path(f"edits.{name}"), rows)
    out, told = run(f"edits.{name}", "-o", f"scored.{to}")
    assert out == b""
    assert re.fullmatch(rf"scored\.{to}: 40 rows scored, 0 rejected, [\d,]+ rows a second\n", told)
    scores = scorer.score_edits([(row["before"], row["after"]) for row in rows])
    found = records(Path(f"scored.{to}"))
    assert [float(record.pop("score")) for record in found] == pytest.approx(scores.tolist(), abs=1e-5)
    assert {record.pop("reason") for record in found} == {"" if to[0] in "ct" else None}
    assert [record.pop("accepted") for record in found] == [
        (str(yes).lower() if to[0] in "ct" else yes) for yes in (scores >= 0.5).tolist()
    ]
    plain = name[0] in "ct" or to[0] in "ct"  # the cells of such a table are text
    assert [as_text(record) for record in found] == [as_text(row) for row in rows]
    assert plain or found == rows
    assert sorted(path.name for path in Path().iterdir()) == [
        f".scored.{to}.parts",
        f"edits.{name}",
        "models",
        f"scored.{to}",
    ]


def test_an_arrow_file_is_scored_as_an_arrow_stream_is(run):
    rows = edits(10)
    feather.write_feather(pa.Table.from_pylist(rows), "edits.arrow", compression="uncompressed")
    run("edits.arrow", "-o", "scored.arrow")
    found = records(Path("scored.arrow"))
    assert [{name: record[name] for name in rows[0]} for record in found] == rows


def test_texts_as_polars_writes_them_are_scored_into_every_container(run):
    """Arrow has a type for views of text, of which it cannot take rows, and which Parquet does not know."""
    views = {
        name: pa.array(texts, pa.string_view()) for name, texts in (("before", ["a cat", ""]), ("after", ["b"] * 2))
    }
    batch = pa.record_batch(views)
    with pa.ipc.new_file("edits.arrow", batch.schema) as writer:
        writer.write_batch(batch)
    for target in ("scored.arrow", "scored.parquet", "scored.csv", "scored.jsonl"):
        run("edits.arrow", "-o", target)
        assert [row["before"] for row in records(Path(target))] == ["a cat"]
        assert records(Path(f"{target}.rejected.jsonl"))[0]["row"] == {"before": "", "after": "b"}


def test_columns_that_a_container_cannot_hold_are_named_before_anything_is_scored(run, refused):
    columns = {"before": ["a cat"], "after": ["b"], "odd": pa.RunEndEncodedArray.from_arrays([1], [5])}
    with pa.ipc.new_stream("edits.arrow", pa.record_batch(columns).schema) as writer:
        writer.write_batch(pa.record_batch(columns))
    assert "odd.arrow: Arrow cannot hold these rows" in refused("edits.arrow", "-o", "odd.arrow")
    assert "odd.parquet: Parquet cannot hold these rows" in refused("edits.arrow", "-o", "odd.parquet")
    run("edits.arrow", "-o", "scored.jsonl")
    assert records(Path("scored.jsonl"))[0]["odd"] == 5


def test_columns_of_parquet_keep_their_types(run):
    rows = edits(3)
    table = pa.table(
        {
            "before": pa.array([row["before"] for row in rows], pa.large_string()),
            "after": pa.array([row["after"] for row in rows]).dictionary_encode(),
            "far": pa.array([2**60, None, 0], pa.timestamp("us", "UTC")),
            "cost": pa.array([1, 2, None], pa.decimal128(12, 3)),
            "vector": pa.array([[0.1], [], None], pa.list_(pa.float16())),
            "deep": pa.array([{"a": [{"b": b"\xff"}]}, None, {"a": None}]),
            "small": pa.array([1, None, 3], pa.int8()),
        }
    ).replace_schema_metadata({"who": "me"})
    pq.write_table(table, "edits.parquet")
    run("edits.parquet", "-o", "scored.parquet")
    scored = pq.read_table("scored.parquet")
    assert scored.drop_columns(["score", "accepted", "reason"]).equals(
        pq.read_table("edits.parquet"), check_metadata=True
    )
    assert scored.schema.field("score").type == pa.float64()
    assert scored.schema.field("accepted").type == pa.bool_()
    run("edits.parquet", "-o", "scored.jsonl")
    assert [record["cost"] for record in records(Path("scored.jsonl"))] == ["1.000", "2.000", None]


def test_rows_of_unlike_columns_become_parquet_where_their_types_agree(run, refused):
    rows = [*edits(20), {"before": "a", "after": "b", "more": {"x": [1]}}, {"before": "a", "after": "c", "n": 0.5}]
    write(Path("edits.jsonl"), rows)
    run("edits.jsonl", "-o", "scored.parquet")
    scored = pq.read_table("scored.parquet")
    assert scored.schema.names == ["n", "before", "after", "note", "more", "score", "accepted", "reason"]
    assert scored["n"].to_pylist() == [*map(float, range(20)), None, 0.5]
    assert scored["more"].to_pylist()[20] == {"x": [1]}
    for odd in ({"n": "x"}, {"n": 2**70}, {"note": "\ud800"}, {"more": {}}):
        write(Path("edits.jsonl"), [*rows[:5], {"before": "a", "after": "b"} | odd])
        assert "odd.parquet: Parquet cannot hold these rows" in refused("edits.jsonl", "-o", "odd.parquet")


def test_no_text_is_lost_on_its_way(run):
    odd = ["a\rb", "a\nb", ' "', "\ufeff", "\u2028", "\ud800", "", "1,5", "naïve 👩‍👩‍👧"]
    rows = [{"before": "a", "after": "b", "text": text, "list": [text, None, 1.5]} for text in odd]
    write(Path("edits.jsonl"), rows)
    run("edits.jsonl", "-o", "scored.jsonl")
    assert [record["list"] for record in records(Path("scored.jsonl"))] == [row["list"] for row in rows]
    run("edits.jsonl", "-o", "scored.csv")
    expected = [text.replace("\ud800", "\\ud800") for text in odd]
    assert [record["text"] for record in records(Path("scored.csv"))] == expected


def test_rows_without_a_score_go_aside_whole_with_their_line_and_why(run):
    good = edits(30)
    rows = [*good[:20], "{broken", BAD, '"text"', *good[20:], {"n": 7}, {"before": "x " * 600, "after": "y"}]
    Path("edits.jsonl").write_bytes(lines_of(rows) + b'{"before": "\xff"}\n\n')
    told = run("edits.jsonl", "-o", "scored.csv.gz")[1]
    assert "scored.csv.gz: 30 rows scored, 6 rejected (scored.csv.gz.rejected.jsonl), " in told
    assert [int(record["n"]) for record in records(Path("scored.csv.gz"))] == list(range(30))
    aside = records(Path("scored.csv.gz.rejected.jsonl"))
    assert [record["line"] for record in aside] == [21, 22, 23, 34, 35, 36]
    assert [record["row"] for record in aside] == ["{broken", BAD, '"text"', *rows[-2:], '{"before": "\\xff"}']
    assert [record["reason"].partition(";")[0] for record in aside] == [
        "not JSON", "after: empty", "not a JSON object",
        "no columns before, after or original_sentence, inappropriate_part, rewritten_part or sentence, part, rewrite",
        "too long", "not UTF-8",
    ]  # fmt: skip
    write(Path("edits.jsonl"), good)
    run("edits.jsonl", "-o", "scored.csv")
    assert Path("scored.csv.gz.rejected.jsonl").exists()  # of another table
    run("edits.jsonl", "-o", "scored.csv.gz")
    assert not Path("scored.csv.gz.rejected.jsonl").exists()


def test_bad_rows_of_other_tables_go_aside_too(run):
    Path("edits.csv").write_text("before,after,n\na,b,1\na,,2\na,b,3\na,b\n")
    run("edits.csv", "-o", "scored.parquet")
    assert pq.read_table("scored.parquet")["n"].to_pylist() == ["1"]
    assert [record["row"] for record in records(Path("scored.parquet.rejected.jsonl"))] == [
        {"before": "a", "after": "", "n": "2"}, '["a", "b", "3"]', '["a", "b"]',
    ]  # fmt: skip
    when = pa.array([2**60, 0, 0], pa.timestamp("us"))
    pq.write_table(pa.table({"before": ["", "a", "b"], "after": ["x", "b", "b"], "when": when}), "edits.parquet")
    run("edits.parquet", "-o", "scored.parquet")
    assert pq.read_table("scored.parquet")["before"].to_pylist() == ["a", "b"]
    (aside,) = records(Path("scored.parquet.rejected.jsonl"))
    assert (aside["line"], aside["reason"], str(2**60) in aside["row"]["when"]) == (1, "before: empty", True)


def test_a_table_whose_every_row_is_rejected_is_no_success(run):
    write(Path("edits.csv"), [BAD] * 20)
    with pytest.raises(SystemExit) as stop:
        run("edits.csv", "-o", "scored.csv")
    reasons = "scored.csv.rejected.jsonl says why"
    assert stop.value.code == f"error: scored.csv: every row was rejected, 20 in all; {reasons}"
    assert records(Path("scored.csv")) == []
    assert [record["row"]["after"] for record in records(Path("scored.csv.rejected.jsonl"))] == [" "] * 20


def test_blanks_around_the_names_of_columns_do_not_count(run):
    Path("edits.csv").write_text("\ufeff before, after ,n\na,b, 1\n")
    run("edits.csv", "-o", "scored.jsonl")
    (record,) = records(Path("scored.jsonl"))
    assert list(record) == ["before", "after", "n", "score", "accepted", "reason"]
    assert record["n"] == "1"  # in a file that has a blank behind each comma of its header, no cell begins with it
    for name in ("edits.jsonl", "edits.parquet", "edits.arrow"):
        write(Path(name), [{" before": "a", "after ": "b"}])
        for options in ([], ["--before-column", "before", "--after-column", "after"]):
            run(name, "-o", "scored.jsonl", *options)
            assert records(Path("scored.jsonl"))[0]["score"] == record["score"]


@pytest.mark.parametrize("name", ["edits.csv", "edits.csv.gz", "edits.jsonl", "edits.parquet", "edits.arrow"])
def test_columns_may_have_other_names(run, name):
    rows = edits(5)
    write(Path(name), rows)
    run(name, "-o", "expected.jsonl")
    write(Path(name), [{"before": "x", "target": row["after"], "source": row["before"]} for row in rows])
    names = ("--before-column", "source", "--after-column", "target")
    run(name, "-o", "scored.jsonl", *names)
    scores = [record["score"] for record in records(Path("scored.jsonl"))]
    assert scores == [record["score"] for record in records(Path("expected.jsonl"))]
    write(Path(name), [{"before": row["before"], "after": row["after"], "target": row["before"]} for row in rows])
    run(name, "-o", "scored.jsonl", "--before-column", "before", "--after-column", "target")  # other scores by name
    assert {record["score"] for record in records(Path("scored.jsonl"))} == {1.0}
    run(name, "-o", "scored.jsonl")
    assert {record["score"] for record in records(Path("scored.jsonl"))} != {1.0}


def test_a_column_that_is_not_there_is_named_with_those_that_are(refused):
    write(Path("edits.csv"), edits(2))
    names = ("--before-column", "source", "--after-column", "after")
    assert "edits.csv: no column source; there are n, before, after, note" in refused(
        "edits.csv", "-o", "s.csv", *names
    )


@pytest.mark.parametrize(("name", "mark"), [("edits.csv", ";"), ("edits.csv", "\\t"), ("edits.tsv", "|")])
def test_cells_may_be_delimited_by_another_mark(run, name, mark):
    cells = [["before", "after"], ["the cat, big", "the dog, big"], ["a cat", "a dog"]]
    Path(name).write_text("".join("\t".join(row) + "\n" if mark == "\\t" else mark.join(row) + "\n" for row in cells))
    run(name, "-o", "scored.jsonl", "--delimiter", mark)
    assert [record["before"] for record in records(Path("scored.jsonl"))] == ["the cat, big", "a cat"]


def test_a_delimiter_is_of_tables_of_cells(refused):
    write(Path("edits.jsonl"), edits(2))
    assert "edits.jsonl: --delimiter is for .csv and .tsv" in refused("edits.jsonl", "-o", "s.csv", "--delimiter", ";")


@pytest.mark.parametrize("name", ["jsonl", "csv", "json", "parquet", "arrow"])
def test_an_edit_outside_support_stands_in_the_table_with_its_score_and_why_it_is_not_accepted(
    run, scorer, monkeypatch, name
):
    support = Support(1.0, {"words": (1, 99), "characters": (0, 999), "changed": (0, 2), "share": (0, 1)})
    narrow = FluencyScorer(scorer.classifier, replace(scorer.calibration, support=support))
    monkeypatch.setattr(FluencyScorer, "load", lambda *_, **__: narrow)
    write(Path(f"edits.{name}"), [{"before": "the cat", "after": after} for after in ("the dog", "a big dog is in")])
    for threshold in ("0", "0.1"):
        run(f"edits.{name}", "-o", f"scored.{name}", "--threshold", threshold)
        inside, outside = records(Path(f"scored.{name}"))
        assert (as_text(inside)["accepted"], as_text(outside)["accepted"]) == ("true", "false")
        assert float(outside["score"]) > 0
        assert inside["reason"] in (None, "")
        assert outside["reason"].startswith("outside support; 5 words and marks changed")
    assert not Path(f"scored.{name}.rejected.jsonl").exists()


@pytest.mark.parametrize("name", ["edits.jsonl", "edits.parquet", "edits.csv", "edits.json", "edits.arrow"])
def test_a_table_without_rows_stays_one(run, name):
    if name == "edits.parquet":
        pq.write_table(pa.Table.from_pylist(edits(1))[:0], name)
    elif name == "edits.arrow":
        pa.ipc.new_stream(name, pa.Table.from_pylist(edits(1)).schema).close()
    else:
        Path(name).write_text({"edits.csv": "before,after\n", "edits.json": "[]"}.get(name, ""))
    assert "0 rows scored, 0 rejected" in run(name, "-o", f"scored{Path(name).suffix}")[1]
    assert records(Path(f"scored{Path(name).suffix}")) == []


@pytest.mark.parametrize("name", ["edits.csv", "edits.tsv", "edits.csv.gz"])
def test_a_header_without_rows_keeps_its_columns(run, refused, name):
    mark, opened = "\t" if "tsv" in name else ",", gzip.open if name.endswith("gz") else open
    for rows in ([], ["a"]):  # of which none can be read
        with opened(name, "wt") as file:
            file.write("\n".join([f"n{mark}before{mark}after", *rows, ""]))
        for target in (f"scored.{name.partition('.')[2]}", "scored.parquet", "scored.arrow"):
            if rows:
                with pytest.raises(SystemExit, match="every row was rejected, 1 in all"):
                    run(name, "-o", target)
            else:
                run(name, "-o", target)
            names = list(schema_of(Path(target)) or pa.schema([])) or columns_of(Path(target))
            assert [getattr(its, "name", its) for its in names] == ["n", "before", "after", *RESULTS]
    with opened(name, "wt") as file:
        file.write(f"text{mark}label\n")
    assert f"{name}: no columns before, after or" in refused(name, "-o", "other.csv")


def test_the_references_edits_are_scored_and_the_operating_point_moved(run, scorer):
    row = {"original_sentence": "the cat runs", "inappropriate_part": "cat", "rewritten_part": "dog"}
    again = {"sentence": "a cat a cat", "part": "cat", "rewrite": "dog", "occurrence": 1}
    write(Path("edits.jsonl"), [row, again])
    scores = scorer.score_edits([("the cat runs", "the dog runs"), ("a cat a cat", "a cat a dog")])
    for option, value, threshold in (("--threshold", scores.max(), scores.max()), ("--min-precision", 0.9, 0.9)):
        run("edits.jsonl", "-o", "scored.jsonl", option, str(value))
        found = records(Path("scored.jsonl"))
        assert [record["score"] for record in found] == pytest.approx(scores.tolist(), abs=1e-6)
        assert [record["accepted"] for record in found] == (scores >= threshold).tolist()


def test_what_is_amiss_is_said_in_one_line_before_anything_is_scored(refused):
    rows = edits(3)
    write(Path("edits.jsonl"), rows)
    write(Path("edits.parquet"), rows)
    write(Path("twice.jsonl"), [*rows, {"before": "a", "after": "b", "score": 1}])
    write(Path("twice.parquet"), [row | {"accepted": True} for row in rows])
    write(Path("other.csv"), [{"text": "a", "label": 1}])
    Path("cut.csv").write_text('before,after\na,"b\n')
    Path("cut.parquet").write_bytes(Path("edits.parquet").read_bytes()[:100])
    write(Path("name.jsonl"), [*rows, {"\ud800": 1}])
    Path("folder.jsonl").mkdir()
    Path("x.jsonl.rejected.jsonl").write_bytes(lines_of(rows))
    Path("empty").mkdir()
    Path("shards").mkdir()
    write(Path("shards/a.jsonl"), rows)
    for arguments, message in (
        (["absent.jsonl", "-o", "s.jsonl"], "absent.jsonl: cannot be read"),
        (["absent.jsonl"], "absent.jsonl: cannot be read"),
        (["absent", "-o", "scored"], "absent: cannot be read"),
        (["cut.csv", "-o", "s.csv"], "cut.csv: line 2: broken quoting"),
        (["cut.parquet", "-o", "s.csv"], "cut.parquet: cannot be read"),
        (["twice.jsonl", "-o", "s.csv"], "twice.jsonl: there is a column 'score' already, which scoring adds; rename"),
        (["twice.parquet", "-o", "s.parquet"], "twice.parquet: there is a column 'accepted' already"),
        (["twice.jsonl"], "twice.jsonl: there is a column 'score' already"),
        (["other.csv", "-o", "s.csv"], "other.csv: no columns before, after or"),
        (["name.jsonl", "-o", "s.jsonl"], "name.jsonl: a column's name is no Unicode text"),
        (["edits.jsonl", "-o", "s.txt"], "s.txt: its suffix names no kind of table; known are .jsonl"),
        (["edits.jsonl", "-o", "s.parquet.gz"], "s.parquet.gz: its suffix names no kind of table"),
        (["edits.jsonl", "-o", "folder.jsonl"], "folder.jsonl: is a folder; name a file"),
        (["edits.jsonl", "-o", "empty"], "empty: is a folder; name a file"),
        (["shards", "-o", "edits.jsonl"], "edits.jsonl: is a file; a folder of tables goes to a folder"),
        (["edits.jsonl", "--before-column", "after", "--after-column", "after"], "name two columns"),
        (["edits.jsonl", "-o", "edits.jsonl"], "edits.jsonl: would replace what is to be scored"),
        (["x.jsonl.rejected.jsonl", "-o", "x.jsonl"], "x.jsonl.rejected.jsonl: would replace what is to be scored"),
        (["edits.jsonl", "-o", "edits.parquet/new/s.jsonl"], "nothing can be written into edits.parquet; name another"),
        (["empty", "-o", "scored"], "empty: holds no table; known are .jsonl"),
        (["empty"], "empty: a folder needs another to go to"),
        (["folder.jsonl", "-o", "folder.jsonl/scored"], "folder.jsonl/scored: stands in the folder"),
        (["-", "-o", "s.csv"], "s.csv: from a pipe come JSON Lines"),
    ):
        assert message in refused(*arguments), arguments
