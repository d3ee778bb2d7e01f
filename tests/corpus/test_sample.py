"""The sample corpus keeps its own rules."""

import re
from collections import Counter
from pathlib import Path

import pytest

from fluency.corpus.ingest import read_corpus
from fluency.corpus.rows import Row
from fluency.edits.edit import Edit, tokenize
from fluency.sources.data import fetch_data

ITEMS = list(read_corpus(fetch_data("sample"), "sample"))
ROWS = [item for item in ITEMS if isinstance(item, Row)]
EDITED = [row for row in ROWS if row.relation != "sentence"]
# edits that a writer might make; the right side of an absurd one may be anything
WRITTEN = [row for row in EDITED if row.relation != "labelled"]
ABSURD = [row for row in EDITED if row.relation == "labelled"]


def fluent(row) -> str:
    return row.after if row.relation == "correction" else row.before


def test_every_line_is_read():
    assert ROWS == ITEMS


def test_it_is_as_large_as_it_says():
    sentences = [row.before for row in ROWS if row.relation == "sentence"]
    assert len(set(sentences)) == len(sentences) >= 1000
    for rows in ([row for row in ROWS if row.relation != "labelled"], ABSURD):
        assert len({fluent(row) for row in rows}) == len(rows)
    assert {(row.part, row.label) for row in ABSURD} == {("absurd", 0), ("long", 0)}
    parts = Counter(row.part for row in EDITED)
    assert parts["hand-written"] >= 400
    assert parts["contrast"] >= 900
    assert parts["long"] >= 900
    relations = Counter(row.relation for row in EDITED if row.part == "hand-written")
    assert 0.3 < relations["rewrite"] / relations.total() < 0.5


def test_long_sentences_are_long():
    """A model that never saw any refuses or misjudges ordinary long text."""
    lengths = [len(fluent(row).split()) for row in ROWS if row.part == "long" and row.relation != "sentence"]
    assert min(lengths) >= 15
    assert sum(length >= 25 for length in lengths) > 0.4 * len(lengths)


def test_sentences_are_clean():
    for row in ROWS:
        for sentence in filter(None, (row.before, row.after if row.relation != "labelled" else None)):
            assert re.sub("[éèó–]", "", sentence).isascii(), sentence
            assert sentence == " ".join(sentence.split()), sentence
            assert not re.search(r"\s[,.;:?!]", sentence), sentence
        # a headline, a caption or a chat needs no full stop
        assert row.kind == "register" or re.search(r"[.?!]['\"]?$", fluent(row)), fluent(row)


def test_edits_are_minimal():
    for row in EDITED:
        assert Edit(row.start, row.removed, row.inserted).apply(row.before) == row.after
    for row in WRITTEN:
        removed, inserted = tokenize(row.removed), tokenize(row.inserted)
        if len(removed) != len(inserted) and removed and inserted:
            assert removed[0] != inserted[0], row.before
            assert removed[-1] != inserted[-1], row.before


@pytest.mark.parametrize("path", sorted(Path("data/sample/contrast").glob("*.txt")), ids=lambda path: path.stem)
def test_contrasts_are_right_as_often_as_wrong(path):
    """In each block one change stands with both labels, so that the changed words alone tell nothing."""
    blocks = path.read_text(encoding="utf-8").split("## ")[1:]
    assert len(blocks) >= 10
    for block in blocks:
        changes = Counter(re.findall(r"^- .*\[(.*)\|(.*)\]", block, re.MULTILINE))
        (one, count), (other, opposite) = changes.items()
        assert one == other[::-1], block
        assert count == opposite, block
