"""What a cache keeps is made once, whole, and by one process at a time."""

import multiprocessing
import os
from functools import partial

import pytest

from fluency.utils.caches import make_once


def fill(started, folder):
    """Leave a file by the process's number; the first to come waits until the other has started too."""
    started.wait()
    (folder / str(os.getpid())).touch()


def ask(folder, started):
    started.set() if multiprocessing.current_process().name == "second" else None
    make_once(folder, partial(fill, started))


def test_of_two_processes_one_makes_it_and_the_other_finds_it(tmp_path):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    both = [context.Process(target=ask, args=(tmp_path / "made", started), name=name) for name in ("first", "second")]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert len(list((tmp_path / "made").iterdir())) == 1


def test_what_failed_leaves_nothing_and_can_be_made_later(tmp_path):
    def fail(folder):
        (folder / "half").touch()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        make_once(tmp_path / "made", fail)
    assert not list(tmp_path.glob("**/half"))
    make_once(tmp_path / "made", lambda folder: (folder / "whole").touch())
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["whole"]
