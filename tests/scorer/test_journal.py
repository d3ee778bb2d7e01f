"""A journal that was cut off anywhere keeps its whole chunks, and is another run's to go on from only by its key."""

from fluency.scorer.journal import journal

CHUNKS = [[0.1, "after: empty"], [1 / 3, 1e-300], ['a "reason"\nof naïve 👩‍👩‍👧', 1.0]]


def noted(table, key: str, chunks) -> None:
    with journal(table) as notes:
        assert notes.resume(key) == 0
        for chunk in chunks:
            notes.add(chunk)


def test_whatever_is_cut_off_the_whole_chunks_are_kept_and_go_on(tmp_path):
    table, path = tmp_path / "scored.csv", tmp_path / ".scored.csv.scores"
    noted(table, "key", CHUNKS)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        with journal(table) as notes:
            kept = notes.resume("key")
            assert kept == max(0, whole[:size].count(b"\n") - 1)
            for chunk in CHUNKS[kept:]:
                notes.add(chunk)
            assert list(notes.notes()) == [note for chunk in CHUNKS for note in chunk]
        assert path.read_bytes().splitlines(keepends=True) == lines


def test_bytes_that_a_crash_left_are_no_chunk(tmp_path):
    noted(tmp_path / "scored.csv", "key", CHUNKS)
    with (tmp_path / ".scored.csv.scores").open("ab") as file:
        file.write(b"\0" * 4096 + b"\n")
    with journal(tmp_path / "scored.csv") as notes:
        assert notes.resume("key") == len(CHUNKS)


def test_another_key_begins_anew(tmp_path):
    noted(tmp_path / "scored.csv", "key", CHUNKS)
    noted(tmp_path / "scored.csv", "other", CHUNKS[:1])
    with journal(tmp_path / "scored.csv") as notes:
        assert notes.resume("other") == 1


def test_a_finished_journal_is_gone_or_holds_its_result(tmp_path):
    table, path = tmp_path / "scored.csv", tmp_path / ".scored.csv.scores"
    noted(table, "key", CHUNKS)
    with journal(table) as notes:
        assert notes.result("key") is None
        notes.finish("key", [0.5, 3, 1])
    with journal(table) as notes:
        assert (notes.result("key"), notes.result("other")) == ([0.5, 3, 1], None)
        assert notes.resume("key") == 0  # the scores are no longer there
        notes.finish("key")
    assert not path.exists()
