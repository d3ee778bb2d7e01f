"""Answers are on disk as soon as they are there, survive any kill, and are of one model and one prompt."""

import pytest

from fluency.llm_judge.cache import Answer, opened
from fluency.utils.errors import UserError

ONE, TWO, THREE = (Answer(f"text {n}\n", "m-1", [("{", {"{": -0.5, "`": -1.5})], 10, None) for n in range(3))
A, B, C = ("a", "a!"), ("b", "b!"), ("a", "b!")


def test_answers_are_read_back_as_they_came(tmp_path):
    with opened(tmp_path, "m", 1) as cache:
        cache.add(A, ONE)
        cache.add(B, TWO)
        with opened(tmp_path, "m", 2) as other:
            assert other.get(A) is None
    with opened(tmp_path, "m", 1) as cache:
        found = cache.get(A)
        assert (found.text, found.model, found.tokens_in, found.tokens_out) == ("text 0\n", "m-1", 10, None)
        assert found.logprobs == [["{", {"{": -0.5, "`": -1.5}]]
        assert cache.get(B).text == "text 1\n"
        assert cache.get(C) is cache.get(A[::-1]) is None


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
            assert cache.get(A).text == "text 0\n"
            assert (cache.get(B) is None) == (length < len(whole) - 1)
            cache.add(C, THREE)
        with opened(tmp_path, "m", 1) as cache:
            assert cache.get(A).text == "text 0\n"
            assert cache.get(C).text == "text 2\n"


@pytest.mark.parametrize(
    "line", [b"\xff\xfe", b"null", b"{}", b'{"change": "x"}', b'{"change": [], "text": ""}', b"[1]"]
)
def test_a_damaged_line_is_passed_over(tmp_path, line):
    with opened(tmp_path, "m", 1) as cache:
        cache.add(A, ONE)
    (path,) = tmp_path.iterdir()
    path.write_bytes(line + b"\n" + path.read_bytes())
    with opened(tmp_path, "m", 1) as cache:
        assert cache.get(A).text == "text 0\n"


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
