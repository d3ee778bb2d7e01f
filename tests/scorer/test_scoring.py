"""Every row of a table goes out once, in its place, with its score or the reason why it has none, whatever happens."""

import argparse
import gzip
import json
import math
import multiprocessing
import os
import random
import re
import shlex
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fluency import FluencyScorer
from fluency.cli import score as score_command
from fluency.cli.commands import main
from fluency.corpus.readers import read_records
from fluency.scorer.journal import journal
from fluency.scorer.scoring import Progress, _as_they_come, score_file
from fluency.scorer.survey import survey
from fluency.utils.errors import UserError
from tests.conftest import ROOT
from tests.helpers.models import untrained
from tests.helpers.processes import ended_within, wait_until

WORDS = "the a cat dog runs run is are big very house in on".split()
BAD = {"before": "the cat", "after": " ", "n": -1}


def edits(count: int, seed: int = 1) -> list[dict]:
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randrange(2, 12))) for _ in range(2 * count)]
    return [
        {"n": n, "before": before, "after": after, "note": 'a "note", naïve'}
        for n, (before, after) in enumerate(zip(texts[::2], texts[1::2], strict=True))
    ]


def lines_of(rows: list[dict | str]) -> bytes:
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows).encode()


@pytest.fixture(scope="module")
def models(tiny_model, tmp_path_factory) -> Path:
    """A models/ folder as the pipeline leaves it, with an untrained model."""
    return untrained(tiny_model, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def scorer(models) -> FluencyScorer:
    return FluencyScorer.load(models / "fluency", bf16=False)


@pytest.fixture
def run(models, scorer, tmp_path, monkeypatch, capfdbinary):
    """Runs the command in an empty folder; returns what it wrote to standard output and error."""
    (tmp_path / "models").symlink_to(models)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FluencyScorer, "load", lambda *_, **__: scorer)
    monkeypatch.setattr(FluencyScorer, "at_once", 16)

    def run(*arguments: str) -> tuple[bytes, str]:
        main(["score", *arguments])
        out, err = capfdbinary.readouterr()
        return out, err.decode()

    return run


@pytest.fixture
def refused(run):
    """Runs the command, which has to fail in one line and to leave no output; returns the line."""

    def refused(*arguments: str) -> str:
        before = sorted(Path().rglob("*"))
        with pytest.raises(SystemExit) as stop:
            run(*arguments)
        assert sorted(Path().rglob("*")) == before
        line = str(stop.value)
        assert line.startswith("error: ")
        assert "\n" not in line
        return line

    return refused


def write(path: Path, rows: list[dict]) -> Path:
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if kind == "jsonl":
        content = lines_of(rows)
    else:
        mark = {"csv": ",", "tsv": "\t"}[kind]
        cells = [list(rows[0]), *(list(row.values()) for row in rows)]
        quoted = [['"' + str(cell).replace('"', '""') + '"' for cell in row] for row in cells]
        content = "".join(f"{mark.join(row)}\n" for row in quoted).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def records(path: Path) -> list[dict]:
    return [record for _, record in read_records(path)]


def as_text(record: dict) -> dict:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in record.items()}


def test_one_edit_is_scored_and_decided(run, scorer):
    score = scorer.score("the cat", "the dog")
    verdict = "accepted" if score >= 0.5 else "not accepted"
    edit = ("--before", "the cat", "--after", "the dog")
    assert run(*edit)[0].decode() == f"{score:.4f}  {verdict} at the operating point 0.5000\n"
    assert run(*edit, "--threshold", "0.1")[0].decode() == f"{score:.4f}  accepted at the operating point 0.1000\n"
    assert b"not accepted at the operating point 0.9000" in run(*edit, "--min-precision", "0.9")[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--before", "", "--after", "x"], "before: empty"),
        (["--before", "x"], "give a table, or --before and --after"),
        (["edits.jsonl", "--before", "x", "--after", "y"], "give a table, or --before and --after"),
        ([], "give a table, or --before and --after"),
        (["--before", "x", "--after", "y", "-o", "one.jsonl"], "--output: the score of one edit is printed"),
    ],
)
def test_what_one_edit_lacks_is_said(run, arguments, message):
    with pytest.raises(SystemExit, match=message):
        run(*arguments)


NAMES = ["jsonl", "jsonl.gz", "csv", "csv.gz", "tsv", "tsv.gz", "parquet"]


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
    assert [record.pop("accepted") for record in found] == [
        (str(yes).lower() if to[0] in "ct" else yes) for yes in (scores >= 0.5).tolist()
    ]
    plain = name[0] in "ct" or to[0] in "ct"  # the cells of such a table are text
    assert [as_text(record) for record in found] == [as_text(row) for row in rows]
    assert plain or found == rows
    assert sorted(path.name for path in Path().iterdir()) == [f"edits.{name}", "models", f"scored.{to}"]


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
    assert scored.drop_columns(["score", "accepted"]).equals(pq.read_table("edits.parquet"), check_metadata=True)
    assert scored.schema.field("score").type == pa.float64()
    assert scored.schema.field("accepted").type == pa.bool_()
    run("edits.parquet", "-o", "scored.jsonl")
    assert [record["cost"] for record in records(Path("scored.jsonl"))] == ["1.000", "2.000", None]


def test_rows_of_unlike_columns_become_parquet_where_their_types_agree(run, refused):
    rows = [*edits(20), {"before": "a", "after": "b", "more": {"x": [1]}}, {"before": "a", "after": "c", "n": 0.5}]
    write(Path("edits.jsonl"), rows)
    run("edits.jsonl", "-o", "scored.parquet")
    scored = pq.read_table("scored.parquet")
    assert scored.schema.names == ["n", "before", "after", "note", "more", "score", "accepted"]
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
    Path("edits.csv").write_text("before,after,n\na,b,1\na,b\na,,3\n")
    run("edits.csv", "-o", "scored.parquet")
    assert pq.read_table("scored.parquet")["n"].to_pylist() == ["1"]
    assert [record["row"] for record in records(Path("scored.parquet.rejected.jsonl"))] == [
        '["a", "b"]', {"before": "a", "after": "", "n": "3"},
    ]  # fmt: skip
    when = pa.array([2**60, 0, 0], pa.timestamp("us"))
    pq.write_table(pa.table({"before": ["", "a", "b"], "after": ["x", "b", "b"], "when": when}), "edits.parquet")
    run("edits.parquet", "-o", "scored.parquet")
    assert pq.read_table("scored.parquet")["before"].to_pylist() == ["a", "b"]
    (aside,) = records(Path("scored.parquet.rejected.jsonl"))
    assert (aside["line"], aside["reason"], str(2**60) in aside["row"]["when"]) == (1, "before: empty", True)


@pytest.mark.parametrize("name", ["edits.jsonl", "edits.parquet", "edits.csv"])
def test_a_table_without_rows_stays_one(run, name):
    if name == "edits.parquet":
        pq.write_table(pa.Table.from_pylist(edits(1))[:0], name)
    else:
        Path(name).write_text("before,after\n" if name == "edits.csv" else "")
    assert "0 rows scored, 0 rejected" in run(name, "-o", f"scored{Path(name).suffix}")[1]
    assert records(Path(f"scored{Path(name).suffix}")) == []


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
        (["edits.jsonl", "-o", "s.txt"], "s.txt: its suffix tells no table; known are .jsonl"),
        (["edits.jsonl", "-o", "s.parquet.gz"], "s.parquet.gz: its suffix tells no table"),
        (["edits.jsonl", "-o", "folder.jsonl"], "folder.jsonl: is a folder; name a file"),
        (["edits.jsonl", "-o", "edits.jsonl"], "edits.jsonl: would replace what is to be scored"),
        (["x.jsonl.rejected.jsonl", "-o", "x.jsonl"], "x.jsonl.rejected.jsonl: would replace what is to be scored"),
        (["edits.jsonl", "-o", "edits.parquet/s.jsonl"], "edits.parquet"),
        (["empty", "-o", "scored"], "empty: holds no table; known are .jsonl"),
        (["empty"], "empty: a folder needs another to go to"),
        (["folder.jsonl", "-o", "folder.jsonl/scored"], "folder.jsonl/scored: stands in the folder"),
        (["-", "-o", "s.csv"], "s.csv: from a pipe come JSON Lines"),
    ):
        assert message in refused(*arguments), arguments


def test_the_examples_of_the_help_are_commands(capsys):
    parser = argparse.ArgumentParser()
    score_command.add_to(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["score", "--help"])
    examples = re.findall(r"^  .*?\bfluency (score .*?)(?: \||   |$)", capsys.readouterr().out, re.MULTILINE)
    assert len(examples) == 7
    for example in examples:
        assert parser.parse_args(shlex.split(example)).run is score_command.score


@pytest.mark.parametrize(
    "options",
    ["--threshold=2", "--threshold=nan", "--min-precision=x", "--threshold=0.5 --min-precision=0.5", "--backend=tpu"],
)
def test_options_that_mean_nothing_are_refused(run, options):
    with pytest.raises(SystemExit) as stop:
        run("edits.jsonl", *options.split())
    assert stop.value.code == 2


class Watched:
    """A scorer that counts what its model is asked, and can end as Ctrl-C ends it."""

    def __init__(self, scorer: FluencyScorer, *, chunks: float = math.inf, temperature: float = 2.0) -> None:
        self.chunks, self.asked = chunks, 0
        self.model, self.device, self.max_tokens = scorer.model, scorer.model.device, 100_000
        calibration = replace(scorer.calibration, temperature=temperature)
        self.scorer = FluencyScorer(self, scorer.tokenizer, calibration)
        self.scorer.at_once = 16

    def __call__(self, batch):
        if self.chunks == 0:
            raise KeyboardInterrupt
        self.chunks -= 1
        self.asked += len(batch["input_ids"])
        return self.model(batch)

    def score(self, source: str, target: str, *, threshold: float = 0.5, once: bool = False) -> None:
        files = Path(source), Path(target)
        score_file(self.scorer, *files, survey(*files), threshold=threshold, progress=Progress(), once=once)


@pytest.fixture
def cut_off(scorer, tmp_path, monkeypatch):
    """A folder in which scoring of 100 edits has ended after 4 chunks of 16."""
    monkeypatch.chdir(tmp_path)
    write(Path("edits.jsonl"), [*edits(100), BAD])
    with pytest.raises(KeyboardInterrupt):
        Watched(scorer, chunks=4).score("edits.jsonl", "scored.jsonl")
    assert not Path("scored.jsonl").exists()


def test_what_was_scored_is_not_scored_again(cut_off, scorer):
    whole, rest = Watched(scorer), Watched(scorer)
    whole.score("edits.jsonl", "whole.jsonl")
    rest.score("edits.jsonl", "scored.jsonl", threshold=0.4)  # which is no matter of the model's
    assert (whole.asked, rest.asked) == (100, 100 - 4 * 16)
    rest.score("edits.jsonl", "scored.jsonl")
    assert rest.asked == 100 - 4 * 16 + 100
    assert Path("scored.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert not list(Path().glob(".*"))


@pytest.mark.parametrize("changed", ["input", "model", "precision", "chunks"])
def test_scores_of_something_else_are_not_used(cut_off, scorer, changed):
    again = Watched(scorer, temperature=3.0 if changed == "model" else 2.0)
    if changed == "input":
        write(Path("edits.jsonl"), [*edits(100)[::-1], BAD])
    elif changed == "precision":
        again.device = replace(again.device, bf16=True)
    elif changed == "chunks":
        again.scorer.at_once = 32
    again.score("edits.jsonl", "scored.jsonl")
    assert again.asked == 100


def test_a_run_that_ends_while_it_writes_goes_on_too(cut_off, scorer, monkeypatch):
    Watched(scorer).score("edits.jsonl", "whole.jsonl")
    with monkeypatch.context() as broken:
        broken.setattr("fluency.scorer.scored.Sink.put", Mock(side_effect=[None] * 50 + [OSError("no space left")]))
        with pytest.raises(OSError, match="no space left"):
            Watched(scorer).score("edits.jsonl", "scored.jsonl")
    assert sorted(path.name for path in Path().glob("*scored*")) == [".scored.jsonl.scores"]
    rest = Watched(scorer)
    rest.score("edits.jsonl", "scored.jsonl")
    assert rest.asked == 0
    assert Path("scored.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_a_table_that_changes_while_it_is_scored_is_not_written(scorer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("edits.jsonl"), edits(40))
    seen = survey(Path("edits.jsonl"))
    write(Path("edits.jsonl"), edits(41))
    with pytest.raises(UserError, match=r"edits\.jsonl: changed while it was scored"):
        score_file(scorer, Path("edits.jsonl"), Path("s.jsonl"), seen, threshold=0.5, progress=Progress())
    assert not Path("s.jsonl").exists()


def test_few_rows_are_in_memory_at_a_time(scorer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("edits.jsonl"), edits(400))
    files, progress = (Path("edits.jsonl"), Path("scored.jsonl")), Progress()
    seen, (taken, written), most = survey(*files), (0, 0), 0

    def counted(path):
        nonlocal taken, written, most
        taken = written = 0
        for item in read_records(path):
            taken += 1
            most = max(most, taken - written)
            yield item

    def scored(self, rows):
        nonlocal written
        written += rows

    def put(self, line, item, note):
        nonlocal written
        written += 1

    for module in ("scoring", "scored"):
        monkeypatch.setattr(f"fluency.{module}.read_records", counted)
    monkeypatch.setattr(Progress, "scored", scored)
    monkeypatch.setattr("fluency.scorer.scored.Sink.put", put)
    score_file(Watched(scorer).scorer, *files, seen, threshold=0.5, progress=progress)
    assert taken == written == 400
    assert 16 < most <= 3 * 16


def test_a_terminal_shows_how_far_it_is(monkeypatch):
    ours, its = os.openpty()
    termios.tcsetwinsize(its, (24, 80))
    with os.fdopen(its, "w") as terminal, monkeypatch.context() as replaced:
        replaced.setattr(sys, "stderr", terminal)
        progress = Progress(20)
        progress.found(5)
        progress.scored(15)
        assert re.fullmatch(r"[\d,]+ rows a second", progress.close())
        terminal.flush()
        assert "| 20/20 [" in os.read(ours, 10_000).decode()
    os.close(ours)


def killed_at(folder: Path, moment: float, journal_size: int) -> int:
    """Score in a process of its own, and kill it so long after it has noted more; returns what it had noted."""
    process = _FORKS.Process(target=score_in, args=(folder,))
    process.start()
    noted = folder / ".scored.jsonl.gz.scores"
    wait_until(lambda: noted.exists() and noted.stat().st_size > journal_size, process)
    ended_within(moment, process)
    process.kill()
    process.join()
    return noted.stat().st_size


def score_in(folder: Path) -> None:
    os.chdir(folder)
    FluencyScorer.at_once = 8
    main(["score", "edits.csv", "-o", "scored.jsonl.gz"])


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["fluency.scorer.scorer", "transformers.models.modernbert.modeling_modernbert"])


def test_killed_at_ten_moments_it_ends_with_the_same_bytes(models, tmp_path):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "models").symlink_to(models)
        rows = edits(1000)
        rows[17] |= {"after": ""}
        write(tmp_path / name / "edits.csv", rows)
    whole = _FORKS.Process(target=score_in, args=(tmp_path / "whole",))
    whole.start()
    rng, noted = random.Random(1), 0
    for _ in range(10):
        noted = killed_at(tmp_path / "killed", rng.uniform(0, 0.03), noted)
        assert not list((tmp_path / "killed").glob("scored*"))
    last = _FORKS.Process(target=score_in, args=(tmp_path / "killed",))
    last.start()
    for process in (whole, last):
        process.join()
        assert process.exitcode == 0
    for name in ("scored.jsonl.gz", "scored.jsonl.gz.rejected.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len(records(tmp_path / "killed/scored.jsonl.gz")) == 999
    assert not list((tmp_path / "killed").glob(".*"))


def test_a_second_run_of_the_same_output_is_refused(refused):
    write(Path("edits.jsonl"), edits(3))
    with journal(Path("scored.jsonl")):
        for source in ("edits.jsonl", "-"):
            assert "scored.jsonl: another run is writing it" in refused(source, "-o", "scored.jsonl")


def test_a_table_goes_to_standard_output_as_json_lines(run, scorer):
    rows = edits(40)
    write(Path("edits.parquet"), [*rows[:20], BAD | {"note": ""}, *rows[20:]])
    out, told = run("edits.parquet")
    found = [json.loads(line) for line in out.splitlines()]
    assert [record["n"] for record in found] == list(range(40))
    first, last = told.splitlines()
    assert json.loads(first) == {"line": 21, "reason": "after: empty", "row": BAD | {"note": ""}}
    assert last.startswith("-: 40 rows scored, 1 rejected (standard error), ")


@pytest.fixture
def standard_input():
    """Puts a file in the place of standard input."""
    kept = os.dup(0)

    def put(path: str) -> None:
        with Path(path).open("rb") as file:
            os.dup2(file.fileno(), 0)

    yield put
    os.dup2(kept, 0)
    os.close(kept)


def test_standard_input_goes_to_a_file(run, standard_input):
    Path("edits.jsonl").write_bytes(lines_of([*edits(40), BAD]))
    standard_input("edits.jsonl")
    told = run("-", "-o", "out/scored.jsonl.gz")[1]
    assert told.startswith("out/scored.jsonl.gz: 40 rows scored, 1 rejected (out/scored.jsonl.gz.rejected.jsonl), ")
    assert [record["n"] for record in records(Path("out/scored.jsonl.gz"))] == list(range(40))
    assert [record["row"] for record in records(Path("out/scored.jsonl.gz.rejected.jsonl"))] == [BAD]
    assert not list(Path("out").glob(".*"))


def test_a_pipe_is_scored_while_it_is_open(models, tmp_path):
    """In a process of its own: what came is answered before more comes, and a reader that goes is no disaster."""
    (tmp_path / "models").symlink_to(models)
    process = subprocess.Popen(
        [sys.executable, "-m", "fluency", "score", "-"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    for row in edits(3):
        process.stdin.write(lines_of([row]))
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert answer | row == answer
        assert 0 < answer["score"] < 1
    process.stdin.write(lines_of([BAD]))
    process.stdin.flush()
    assert json.loads(process.stderr.readline())["row"] == BAD
    process.stdout.close()
    process.stdin.write(lines_of([row]))
    process.stdin.close()
    assert process.wait() == 1
    assert process.stderr.read() == b""


def test_what_is_there_is_taken_and_an_error_comes_after_it():
    def items():
        yield from range(10)
        raise UserError("broken")

    found = []
    with pytest.raises(UserError, match="broken"):
        found.extend(_as_they_come(items(), 4))
    assert [item for chunk in found for item in chunk] == list(range(10))
    assert max(map(len, found)) <= 4
    assert found[-1] == []


@pytest.fixture
def shards() -> list[str]:
    """A folder of tables, one of them in a folder of its own, and something else."""
    names = ["0.parquet", "1.parquet", "2.jsonl", "more/3.csv.gz", "more/4.parquet"]
    for number, name in enumerate(names):
        (Path("shards") / name).parent.mkdir(parents=True, exist_ok=True)
        write(Path("shards") / name, [*edits(20, seed=number), *[BAD | {"note": ""}] * (number == 2)])
    Path("shards/README.md").touch()
    return names


def written(folder: str) -> dict[str, bytes]:
    """What stands in a folder; hidden files do not count."""
    files = [path for path in Path(folder).rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_folder_becomes_a_folder_and_what_is_done_is_left_alone(run, shards, scorer, monkeypatch):
    watched = Watched(scorer)
    monkeypatch.setattr(FluencyScorer, "load", lambda *_, **__: watched.scorer)
    told = run("shards", "-o", "scored")[1]
    assert watched.asked == 100
    assert told.startswith("left out, for they are no tables: shards/README.md\nscored: 100 rows scored, 1 rejected (")
    assert sorted(written("scored")) == sorted([*shards, "2.jsonl.rejected.jsonl"])
    for name in shards:
        assert [row["before"] for row in records(Path("scored", name))] == [
            row["before"] for row in records(Path("shards", name)) if row["after"].strip()
        ]
    before = written("scored")
    assert "scored: 100 rows scored, 1 rejected (" in run("shards", "-o", "scored")[1]
    assert watched.asked == 100
    Path("scored/0.parquet").unlink()
    write(Path("shards/1.parquet"), edits(10, seed=9))
    run("shards", "-o", "scored")
    assert watched.asked == 130
    assert written("scored")["0.parquet"] == before["0.parquet"]
    run("shards", "-o", "scored", "--threshold", "0.1")
    assert watched.asked == 130 + 90
    assert pq.read_table("scored/1.parquet")["accepted"].to_pylist() == [True] * 10


def test_processes_share_the_tables_of_a_folder_but_not_a_file(run, refused, shards, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = {}
    for rank, names in enumerate((shards[::2], shards[1::2])):
        monkeypatch.setenv("RANK", str(rank))
        assert f"scored ({len(names)} tables of process {rank}): " in run("shards", "-o", "scored")[1]
        found |= written("scored")
        assert {*names, "2.jsonl.rejected.jsonl"} <= set(found)
    assert sorted(found) == sorted([*shards, "2.jsonl.rejected.jsonl"])
    assert "0.parquet: 2 processes were started; they share a folder" in refused("shards/0.parquet", "-o", "s.parquet")


def test_tables_that_would_get_in_each_others_way_are_refused(refused):
    Path("shards").mkdir()
    for name in ("a.csv", "a.csv.rejected.jsonl"):
        write(Path("shards", name), edits(3))
    assert "scored/a.csv.rejected.jsonl: two tables of shards would go there" in refused("shards", "-o", "scored")


def example(page: str, having: str) -> str:
    """The command of a page of docs/ that has these words."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
    commands = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    (found,) = (command for command in commands if having in command)
    return found


def test_two_processes_of_a_launch_score_a_folder_and_go_on_after_a_kill(models, tmp_path, monkeypatch):
    """The command is that of the documentation."""
    monkeypatch.chdir(tmp_path)
    Path("models").symlink_to(models)
    Path("shards").mkdir()
    for number in range(60):
        write(Path(f"shards/{number:02}.parquet"), edits(40, seed=number))
    command = f"exec {example('at_scale.md', '--num_processes 2')}"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    launcher = subprocess.Popen(command, shell=True, env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(written("scored")) >= 4, launcher)
    processes = psutil.Process(launcher.pid).children(recursive=True)
    launcher.kill()
    launcher.wait()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive
    assert len(processes) == 2
    done = {path: path.stat().st_mtime_ns for path in Path("scored").glob("*.parquet")}
    assert len(done) < 60

    told = subprocess.run(command, shell=True, env=environment, check=True, capture_output=True, text=True).stderr
    assert all(f"scored (30 tables of process {rank}): 1,200 rows scored, 0 rejected" in told for rank in (0, 1))
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert sorted(written("scored")) == [f"{number:02}.parquet" for number in range(60)]
    main(["score", "shards", "-o", "alone"])
    assert written("alone") == written("scored")
