"""`python -m fluency score`: one edit, its options, and pipes."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fluency.cli import score as score_command
from fluency.cli.score import Progress
from fluency.scorer.tables import as_they_come
from fluency.utils.errors import UserError
from tests.conftest import ROOT
from tests.helpers.models import LONG
from tests.helpers.tables import BAD, edits, lines_of, records, write


def test_one_edit_is_scored_and_decided(run, scorer):
    score = scorer.score("the cat", "the dog")
    verdict = "accepted" if score >= 0.5 else "not accepted"
    edit = ("--before", "the cat", "--after", "the dog")
    assert run(*edit)[0].decode() == f"{score:.4f}  {verdict} at the operating point 0.5000\n"
    assert run(*edit, "--threshold", "0.1")[0].decode() == f"{score:.4f}  accepted at the operating point 0.1000\n"
    assert b"not accepted at the operating point 0.9000" in run(*edit, "--min-precision", "0.9")[0]
    sure = "--min-precision", "0.79", "--confidence", "0.95"
    assert b"not accepted at the operating point 0.9000" in run(*edit, *sure)[0]


def test_edits_unlike_validation_are_told_once_in_a_line_and_again_where_no_row_is_scored_again(
    run, scorer, monkeypatch
):
    write(Path("edits.jsonl"), edits(60))
    assert "warning" not in run("edits.jsonl", "-o", "before.jsonl")[1]
    monkeypatch.setattr(scorer, "calibration", replace(scorer.calibration, reference=LONG))
    for command in (["edits.jsonl"], ["edits.jsonl", "-o", "s.jsonl"], ["edits.jsonl", "-o", "s.jsonl"]):
        warnings = [line for line in run(*command)[1].splitlines() if line.startswith("warning: ")]
        assert len(warnings) == 1
        assert re.search(r"after \d+ edits .* validation: too many have at most 50 words .*does not hold", warnings[0])
    assert Path("s.jsonl").read_bytes() == Path("before.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--before", "", "--after", "x"], "before: empty"),
        (["edits.csv", "-o", "s.csv", "--before-column", "a"], "--before-column, --after-column: give both, or none"),
        (["--before", "x"], "give a table, or --before and --after"),
        (["edits.jsonl", "--before", "x", "--after", "y"], "give a table, or --before and --after"),
        ([], "give a table, or --before and --after"),
        (["--before", "x", "--after", "y", "-o", "one.jsonl"], "--output: the score of one edit is printed"),
    ],
)
def test_what_one_edit_lacks_is_said(run, arguments, message):
    with pytest.raises(SystemExit, match=message):
        run(*arguments)


def test_the_examples_of_the_help_are_commands(capsys):
    parser = argparse.ArgumentParser()
    score_command.add_to(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["score", "--help"])
    examples = re.findall(r"^  .*?\bfluency (score .*?)(?: \||   |$)", capsys.readouterr().out, re.MULTILINE)
    assert len(examples) == 8
    for example in examples:
        assert parser.parse_args(shlex.split(example)).run is score_command.score


@pytest.mark.parametrize(
    "options",
    ["--threshold=2", "--threshold=nan", "--min-precision=x", "--threshold=0.5 --min-precision=0.5", "--delimiter=ab"],
)
def test_options_that_mean_nothing_are_refused(run, options):
    with pytest.raises(SystemExit) as stop:
        run("edits.jsonl", *options.split())
    assert stop.value.code == 2


def test_a_terminal_shows_how_far_it_is(monkeypatch):
    ours, its = os.openpty()
    termios.tcsetwinsize(its, (24, 80))
    with os.fdopen(its, "w") as terminal, monkeypatch.context() as replaced:
        replaced.setattr(sys, "stderr", terminal)
        progress = Progress(20)
        progress(5, True)
        progress(15, False)
        assert re.fullmatch(r"[\d,]+ rows a second", progress.close())
        print("end", file=terminal, flush=True)
        shown = b""
        while b"end" not in shown:  # a terminal gives what it has by now
            shown += os.read(ours, 10_000)
        assert "| 20/20 [" in shown.decode()
    os.close(ours)


def test_a_table_goes_to_standard_output_as_json_lines(run, scorer):
    rows = edits(40)
    write(Path("edits.parquet"), [*rows[:20], BAD | {"note": ""}, *rows[20:]])
    out, told = run("edits.parquet")
    found = [json.loads(line) for line in out.splitlines()]
    assert [record["n"] for record in found] == list(range(40))
    first, last = told.splitlines()
    assert json.loads(first) == {"line": 21, "reason": "after: empty", "row": BAD | {"note": ""}}
    assert last.startswith("-: 40 rows scored, 1 rejected (standard error), ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the machine has no device that is always full")
def test_a_full_disk_is_told_with_the_place(run, monkeypatch):
    write(Path("edits.jsonl"), edits(3))
    with Path("/dev/full").open("wb", buffering=0) as full, monkeypatch.context() as replaced:
        replaced.setattr(sys, "stdout", SimpleNamespace(buffer=full, flush=full.flush))
        with pytest.raises(SystemExit, match="error: -: no space is left there; free some"):
            run("edits.jsonl")


def test_a_pipe_tells_a_row_without_an_edit_which_columns_it_has(run):
    write(Path("edits.jsonl"), [*edits(1), {"source": "a", "target": "b"}])
    reason = json.loads(run("edits.jsonl")[1].splitlines()[0])["reason"]
    assert reason.startswith("no columns before, after or")
    assert reason.endswith("; there are source, target")


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


def test_a_pipe_whose_every_row_is_rejected_ends_in_one_line(run, standard_input, capfdbinary):
    write(Path("edits.jsonl"), [BAD, {"text": "a"}])
    standard_input("edits.jsonl")
    with pytest.raises(SystemExit) as stop:
        run("-")
    assert stop.value.code == "error: -: every row was rejected, 2 in all; standard error says why"
    out, err = capfdbinary.readouterr()
    assert (out, [json.loads(line)["line"] for line in err.splitlines()]) == (b"", [1, 2])


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
        found.extend(as_they_come(items(), 4))
    assert [item for chunk in found for item in chunk] == list(range(10))
    assert max(map(len, found)) <= 4
    assert found[-1] == []
