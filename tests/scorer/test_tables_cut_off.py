"""Tables and folders whose scoring is cut off, again or shared: no row is scored twice, and the bytes are the same."""

import multiprocessing
import os
import random
import re
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import psutil
import pyarrow.parquet as pq
import pytest

from fluency import FluencyScorer
from fluency.cli.commands import main
from fluency.cli.score import Progress
from fluency.corpus.readers import read_records
from fluency.scorer import table_source
from fluency.scorer.parts import claimed
from fluency.scorer.table_source import look_over
from fluency.scorer.tables import score_table
from fluency.utils.errors import UserError
from tests.conftest import ROOT
from tests.helpers.models import LONG
from tests.helpers.processes import ended_within, wait_until
from tests.helpers.tables import BAD, Watched, edits, records, write


@pytest.fixture
def cut_off(scorer, tmp_path, monkeypatch):
    """A folder in which scoring of 100 edits has ended after 4 chunks of 16."""
    monkeypatch.chdir(tmp_path)
    write(Path("edits.jsonl"), [*edits(100), BAD])
    with pytest.raises(KeyboardInterrupt):
        Watched(scorer, chunks=4).score("edits.jsonl", "scored.jsonl")
    assert not Path("scored.jsonl").exists()


def parts_of(output: str) -> list[Path]:
    """The finished parts of a scored table."""
    return sorted(Path().glob(f".{output}.parts/*/[0-9]*.parquet"))


def test_what_was_scored_is_not_scored_again(cut_off, scorer):
    whole, rest, again = Watched(scorer), Watched(scorer), Watched(scorer)
    whole.score("edits.jsonl", "whole.jsonl")
    rest.score("edits.jsonl", "scored.jsonl")
    assert (whole.asked, rest.asked) == (100, 100 - 4 * 16)
    assert Path("scored.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert {path.name for path in Path().glob(".*")} == {".scored.jsonl.parts", ".whole.jsonl.parts"}
    again.score("edits.jsonl", "scored.jsonl", threshold=0.4)  # which is no matter of the model's
    decided = [record["score"] >= 0.4 for record in records(Path("scored.jsonl"))]
    assert [record["accepted"] for record in records(Path("scored.jsonl"))] == decided
    again.score("edits.jsonl", "scored.jsonl")
    assert Path("scored.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert again.asked == 0


def test_a_scored_table_that_was_lost_or_changed_is_written_again(cut_off, scorer):
    again = Watched(scorer)
    again.score("edits.jsonl", "scored.jsonl")
    whole = Path("scored.jsonl").read_bytes()
    Path("scored.jsonl").write_bytes(b"")
    Path("scored.jsonl.rejected.jsonl").unlink()
    again.score("edits.jsonl", "scored.jsonl")
    assert Path("scored.jsonl").read_bytes() == whole
    assert [record["row"] for record in records(Path("scored.jsonl.rejected.jsonl"))] == [BAD]
    assert again.asked == 100 - 4 * 16


def test_a_drift_that_was_seen_before_a_kill_is_told_by_the_run_that_goes_on(scorer, tmp_path, monkeypatch):
    """Its own edits look like validation, and are fewer than drift would take."""
    monkeypatch.chdir(tmp_path)
    calibration = scorer.calibration
    write(Path("edits.jsonl"), edits(65))
    monkeypatch.setattr(scorer, "calibration", replace(calibration, reference=LONG))
    with pytest.raises(KeyboardInterrupt):
        Watched(scorer, chunks=4).score("edits.jsonl", "scored.jsonl")
    monkeypatch.setattr(scorer, "calibration", calibration)
    for _ in range(2):  # and by one that scores no row
        (told,) = Watched(scorer).score("edits.jsonl", "scored.jsonl")
        assert re.match(r"edits\.jsonl: after \d+ edits they no longer look like validation", told)
    assert Watched(scorer).score("edits.jsonl", "another.jsonl") == []


@pytest.mark.parametrize("left", ["", "PAR1 and no more", "\0" * 4096, None])
def test_a_part_that_a_crash_left_broken_is_scored_again(cut_off, scorer, left):
    Watched(scorer).score("edits.jsonl", "whole.jsonl")
    broken = parts_of("scored.jsonl")[1]
    if left is None:
        broken.unlink()
    else:
        broken.write_text(left)
    rest = Watched(scorer)
    rest.score("edits.jsonl", "scored.jsonl")
    assert rest.asked == 100 - 4 * 16 + 16
    assert Path("scored.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_unfinished_work_outlives_another_model_and_finished_work_the_next(cut_off, scorer):
    first, other = Watched(scorer), Watched(scorer, slope=0.3)
    other.score("edits.jsonl", "scored.jsonl")
    first.score("edits.jsonl", "scored.jsonl")
    assert (first.asked, other.asked) == (100 - 4 * 16, 100)
    assert len({part.parent for part in parts_of("scored.jsonl")}) == 1
    other.score("edits.jsonl", "scored.jsonl")
    assert other.asked == 2 * 100


@pytest.mark.parametrize("changed", ["input", "model", "precision", "chunks"])
def test_scores_of_something_else_are_not_used(cut_off, scorer, changed):
    again = Watched(scorer, slope=0.3 if changed == "model" else 0.5)
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
        broken.setattr(
            "fluency.scorer.table_files._json_line", Mock(side_effect=[b""] * 50 + [OSError("no space left")])
        )
        with pytest.raises(OSError, match="no space left"):
            Watched(scorer).score("edits.jsonl", "scored.jsonl")
    assert sorted(path.name for path in Path().glob("*scored*")) == [".scored.jsonl.parts"]
    rest = Watched(scorer)
    rest.score("edits.jsonl", "scored.jsonl")
    assert rest.asked == 0
    assert Path("scored.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_a_table_that_changes_while_it_is_scored_is_not_written(scorer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("edits.jsonl"), edits(40))
    table = look_over(Path("edits.jsonl"), Path("s.jsonl"))
    write(Path("edits.jsonl"), edits(41))
    with pytest.raises(UserError, match=r"edits\.jsonl: changed while it was scored"):
        score_table(scorer, table, threshold=0.5, progress=Progress(), tell=print)
    assert not Path("s.jsonl").exists()
    assert list(Path().rglob("[0-9]*.parquet")) == []  # nor are its scores kept


def test_scores_of_what_came_into_its_place_are_not_kept_as_its_own(scorer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = edits(2000)
    original = write(Path("edits.jsonl"), rows).read_bytes()
    Watched(scorer).score("edits.jsonl", "whole.jsonl")
    changing = Watched(scorer)
    changing.changes = lambda: write(Path("edits.jsonl"), rows[::-1])
    with pytest.raises(UserError, match=r"edits\.jsonl: changed while it was scored"):
        changing.score("edits.jsonl", "scored.jsonl")
    assert changing.asked < 200
    Path("edits.jsonl").write_bytes(original)
    Watched(scorer).score("edits.jsonl", "scored.jsonl")
    assert Path("scored.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


@pytest.mark.parametrize("name", ["edits.jsonl", "edits.parquet"])
def test_a_table_that_changes_while_it_is_written_does_not_take_the_place(scorer, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(Path(name), edits(40))
    target = name.replace("edits", "scored")
    Path(target).write_text("of before")

    def touched(*arguments, **options):
        os.utime(name, ns=(0, 0))
        yield from read(*arguments, **options)

    reader = "read_batches" if name.endswith("parquet") else "read_records"
    read = getattr(table_source, reader)
    monkeypatch.setattr(table_source, reader, touched)
    with pytest.raises(UserError, match=f"{name}: changed while it was scored"):
        Watched(scorer).score(name, target)
    assert Path(target).read_text() == "of before"


def test_few_rows_are_in_memory_at_a_time(scorer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("edits.jsonl"), edits(400))
    table, taken, given, most = look_over(Path("edits.jsonl"), Path("scored.jsonl")), 0, 0, 0

    def counted(path, **options):
        nonlocal taken, given, most
        taken = given = 0
        for item in read_records(path, **options):
            taken += 1
            most = max(most, taken - given)
            yield item

    def gave(rows):
        nonlocal given
        given += rows

    def line(record):
        gave(1)
        return b""

    monkeypatch.setattr("fluency.scorer.table_source.read_records", counted)
    monkeypatch.setattr("fluency.scorer.table_files._json_line", line)
    progress = lambda rows, before: gave(rows)  # noqa: E731
    score_table(Watched(scorer).scorer, table, threshold=0.5, progress=progress, tell=print)
    assert taken == given == 400
    assert 16 < most <= 3 * 16


def test_killed_at_ten_moments_it_ends_with_the_same_bytes(run, monkeypatch):
    """In a fork of this process, which has the model already."""
    monkeypatch.setattr(FluencyScorer, "at_once", 8)
    rows = edits(1000)
    rows[17] |= {"after": ""}
    write(Path("edits.csv"), rows)
    command, rng, finished = ("edits.csv", "-o", "scored.jsonl.gz"), random.Random(1), 0
    for _ in range(10):
        process = multiprocessing.get_context("fork").Process(target=run, args=command)
        process.start()
        wait_until(lambda: len(parts_of("scored.jsonl.gz")) > finished, process)  # noqa: B023
        ended_within(rng.uniform(0, 0.03), process)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        finished = len(parts_of("scored.jsonl.gz"))
        assert not list(Path().glob("scored*"))
    run(*command)
    run("edits.csv", "-o", "whole.jsonl.gz")
    for name in ("jsonl.gz", "jsonl.gz.rejected.jsonl"):
        assert Path(f"scored.{name}").read_bytes() == Path(f"whole.{name}").read_bytes()
    assert len(records(Path("scored.jsonl.gz"))) == 999
    assert not list(Path().rglob("*.part"))


def test_a_second_run_of_the_same_output_is_refused(refused):
    write(Path("edits.jsonl"), edits(3))
    with claimed(Path("scored.jsonl")):
        for source in ("edits.jsonl", "-"):
            assert "scored.jsonl: another run is writing it" in refused(source, "-o", "scored.jsonl")


@pytest.fixture
def shards() -> list[str]:
    """A folder of tables, one of them in a folder of its own, and something else."""
    names = ["0.parquet", "1.parquet", "2.jsonl", "more/3.csv.gz", "more/4.parquet"]
    for number, name in enumerate(names):
        (Path("shards") / name).parent.mkdir(parents=True, exist_ok=True)
        write(Path("shards") / name, [*edits(20, seed=number), *[BAD | {"note": ""}] * (number == 2)])
    Path("shards/README.md").touch()
    Path("shards/state.json").write_text("{}")
    return names


def written(folder: str) -> dict[str, bytes]:
    """What stands in a folder; hidden files do not count."""
    files = [path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file()]
    shown = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    return {file.as_posix(): Path(folder, file).read_bytes() for file in shown}


def test_a_folder_becomes_a_folder_and_what_is_done_is_left_alone(run, shards, scorer, monkeypatch):
    watched = Watched(scorer)
    monkeypatch.setattr(FluencyScorer, "load", lambda *_, **__: watched.scorer)
    told = run("shards", "-o", "scored")[1]
    assert watched.asked == 100
    assert told.startswith(
        "left out, for they are no tables: shards/README.md, shards/state.json\nscored: 100 rows scored, 1 rejected ("
    )
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
    assert watched.asked == 110  # the ten new rows; the lost table is written from its scores
    assert written("scored")["0.parquet"] == before["0.parquet"]
    run("shards", "-o", "scored", "--threshold", "0.1")
    assert watched.asked == 110
    assert pq.read_table("scored/1.parquet")["accepted"].to_pylist() == [True] * 10


def test_drift_is_of_the_table_that_has_it_and_is_told_once(run, shards, scorer, monkeypatch):
    """One that comes after another starts anew; each table of short sentences has enough for an alarm."""
    long = [{"before": "the cat " * 30 + its["before"], "after": "the cat " * 30 + its["after"]} for its in edits(200)]
    for name in (shards[0], shards[2]):
        write(Path("shards") / name, long[:100] if name == shards[0] else long[100:])
    monkeypatch.setattr(scorer, "calibration", replace(scorer.calibration, reference=LONG))
    told = run("shards", "-o", "scored")[1]
    assert re.findall("warning: .*? they", told) == ["warning: shards/1.parquet: after 16 edits they"]
    for name, warnings in ((shards[0], 0), (shards[1], 1), (shards[2], 0)):  # what was written with each
        assert run(f"shards/{name}", "-o", f"scored/{name}")[1].count("warning: ") == warnings


@pytest.mark.parametrize(("rank", "processes"), [("3", ""), ("2", "2"), ("x", "2"), ("0", "-1")])
def test_a_place_that_none_can_have_is_refused(run, refused, shards, monkeypatch, rank, processes):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", processes)
    assert f"RANK={rank}, WORLD_SIZE={processes or 1}: processes are numbered" in refused("shards", "-o", "scored")


def test_an_empty_place_is_none(run, monkeypatch):
    monkeypatch.setenv("RANK", "")
    monkeypatch.setenv("WORLD_SIZE", "")
    write(Path("edits.csv"), edits(3))
    assert "scored.csv: 3 rows scored" in run("edits.csv", "-o", "scored.csv")[1]


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
    again = [path for path, when in done.items() if path.stat().st_mtime_ns != when]
    assert len(again) <= 2  # one a process may have been written, and not noted yet
    assert sorted(written("scored")) == [f"{number:02}.parquet" for number in range(60)]
    main(["score", "shards", "-o", "alone"])
    assert written("alone") == written("scored")
