"""Answers are on disk as soon as they are there, survive any kill, and are of one model and one prompt."""

import pytest

from fluency.llm_judge.cache import opened
from fluency.utils.errors import UserError

ONE, TWO, THREE = ({"choices": [{"message": {"content": f"text {n}\n", "x": None}}], "created": 0.5} for n in range(3))
A, B, C = ("a", "a!"), ("b", "b!"), ("a", "b!")


def test_answers_are_read_back_as_they_came(tmp_path):
    with opened(tmp_path, "m", 1) as cache:
        cache.add(A, ONE)
        cache.add(B, TWO)
        with opened(tmp_path, "m", 2) as other:
            assert A not in other
    with opened(tmp_path, "m", 1) as cache:
        assert (cache.get(B), cache.get(A)) == (TWO, ONE)
        assert C not in cache
        assert A[::-1] not in cache
        cache.add(C, THREE)
        assert (cache.get(C), cache.get(A)) == (THREE, ONE)


def test_a_line_that_was_cut_off_anywhere_costs_that_answer_alone(tmp_path):
    with opened(tmp_path, "m", 1) as cache:
        cache.add(A, ONE)
        cache.add(B, TWO)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        with opened(tmp_path, "m", 1) as cache:
            assert cache.get(A) == ONE
            assert (B in cache) == (length == len(whole) - 1)
            cache.add(C, THREE)
        with opened(tmp_path, "m", 1) as cache:
            assert cache.get(A) == ONE
            assert cache.get(C) == THREE


@pytest.mark.parametrize(
    "line", [b"\xff\xfe", b"null", b"{}", b'{"change": "x"}', b'{"change": [], "response": {}}', b"[1]"]
)
def test_a_damaged_line_is_passed_over(tmp_path, line):
    with opened(tmp_path, "m", 1) as cache:
        cache.add(A, ONE)
    (path,) = tmp_path.iterdir()
    path.write_bytes(line + b"\n" + path.read_bytes())
    with opened(tmp_path, "m", 1) as cache:
        assert cache.get(A) == ONE


def test_two_runs_do_not_ask_the_same_model_at_once(tmp_path):
    with opened(tmp_path, "m", 1):
        with pytest.raises(UserError, match="another run is asking this model already"), opened(tmp_path, "m", 1):
            pass
        with opened(tmp_path, "other", 1):
            pass
    with opened(tmp_path, "m", 1):
        pass


@pytest.mark.parametrize("model", ["../../etc/passwd", "org/model:7b", ".hidden", "m" * 500, "模型", ""])
def test_a_models_name_stays_in_its_folder(tmp_path, model):
    with opened(tmp_path / "kept", model, 1) as cache:
        cache.add(A, ONE)
    (path,) = (tmp_path / "kept").iterdir()
    assert path.suffix == ".jsonl"
    assert not path.name.startswith(".")
