"""Files are whole or not there, also after a kill."""

import json
import os
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fluency.utils.errors import UserError
from fluency.utils.files import parquet_sink, read_json, read_parquet, write_json, write_text, written_aside


def test_a_killed_writer_leaves_the_old_file_and_its_rest_is_cleared(tmp_path):
    target = tmp_path / "folder"
    with written_aside(target) as aside:
        aside.mkdir()
        write_text(aside / "old", "old")
    code = (
        "import os, signal; from fluency.utils.files import written_aside\n"
        f"with written_aside({str(target)!r}) as aside:\n"
        "    aside.mkdir(); (aside / 'new').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in target.iterdir()] == ["old"]
    assert len(list(tmp_path.glob(".folder.*.part"))) == 1
    with written_aside(target) as aside:
        aside.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_another_living_process_writes_is_left_alone(tmp_path):
    (tmp_path / f".x.{os.getppid()}.part").write_text("being written")
    write_text(tmp_path / "x", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".x.{os.getppid()}.part", "x"]


@pytest.mark.parametrize("rows", [0, 1, 9_999, 10_000, 10_001])
def test_a_sink_writes_all_rows_in_row_groups(tmp_path, rows):
    with parquet_sink(tmp_path / "x.parquet", pa.schema([("n", pa.int64()), ("s", pa.string())])) as append:
        for number in range(rows):
            append((number, str(number)))
    with pq.ParquetFile(tmp_path / "x.parquet") as file:
        assert file.read()["n"].to_pylist() == list(range(rows))
        assert file.num_row_groups == -(-rows // 10_000)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"kept": 1})
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(path, {"a": float("nan")})

    def fail_halfway():
        with written_aside(tmp_path / "folder") as aside:
            aside.mkdir()
            write_text(aside / "half", "x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert json.loads(path.read_text()) == {"kept": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "x").write_text("{")
    with pytest.raises(UserError, match="x: not JSON"):
        read_json(tmp_path / "x")
    with pytest.raises(UserError, match="x: not a readable Parquet file"):
        read_parquet(tmp_path / "x")
    with pytest.raises(UserError, match="y: no such file"):
        read_parquet(tmp_path / "y")
