"""Files are whole or not there, also after a kill."""

import os
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fluency.files import parquet_sink, write_text, written_aside


def test_a_killed_writer_leaves_the_old_file_and_its_rest_is_cleared(tmp_path):
    target = tmp_path / "folder"
    with written_aside(target) as aside:
        aside.mkdir()
        write_text(aside / "old", "old")
    code = (
        "import os, signal; from fluency.files import written_aside\n"
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
