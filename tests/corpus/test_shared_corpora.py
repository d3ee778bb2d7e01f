"""Known figures of the real corpora beside the repository; skipped where they are not at hand."""

import re
from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from fluency.corpus.ingest import read_corpus
from fluency.corpus.lines import read_lines
from fluency.corpus.m2 import blocks, corrected, parse
from fluency.corpus.rows import Row, write_rows
from fluency.pairs.dataset import build_dataset
from fluency.pairs.pair import pairs_of
from fluency.params import load_params
from fluency.sources.data import fetch_data
from tests.conftest import CORPORA

PARAMS = load_params().pairs
pytestmark = pytest.mark.skipif(not CORPORA.is_dir(), reason=f"{CORPORA} is not at hand")


def audit(folder, corpus="fluency_edits", format=None, **changes):
    raw, pairs = folder / "raw", folder / "pairs"
    for path in (raw, pairs):
        path.mkdir(parents=True)
    items = read_corpus(fetch_data(f"path:{CORPORA / corpus}"), corpus, format=format)
    if corpus == "jfleg":  # of which only the development set is there
        items = (replace(item, split=None) if isinstance(item, Row) else item for item in items)
    write_rows(items, [corpus], raw)
    return build_dataset(raw, pairs, replace(PARAMS, **changes), processes=1)[0]


def test_the_audit_of_the_reference_data(tmp_path):
    figures = audit(tmp_path)
    train, validation = (figures["corpora"]["fluency_edits"][split] for split in ("train", "validation"))
    assert (train["rows"], validation["rows"], figures["rows"]["rejected"]) == (12_039, 1_647, 0)
    assert (train["ambiguous"], validation["ambiguous"]) == (593, 73)
    assert (train["duplicates"], train["label_conflicts"], train["markup"]) == (23, 1, 80)
    assert figures["leakage"]["validation"] == {
        "rows": 455, "rows_normalised": 455, "rows_near": 458, "groups": 380, "corpora": {"fluency_edits": 455},
    }  # fmt: skip
    assert figures["leakage"]["test"]["rows_normalised"] == 0  # cut by group


def test_annotators_disagree_on_jflegs_corrections(tmp_path):
    for policy, left_out in (("any", 0), ("majority", 70), ("all", 188)):
        figures = audit(tmp_path / policy, "jfleg", "jfleg", disagreement=policy)
        given = figures["corpora"]["jfleg"]["all"]
        assert (given["rows"], given["disputed"]) == (658, 188)
        assert figures["rejected"].get("annotators disagree", 0) == left_out
        assert {its["share_reversed"] for its in figures["splits"].values()} == {1.0}


def test_dropping_leaks_leaves_the_published_validation_rows(tmp_path):
    figures = audit(tmp_path, leakage="drop_train")
    assert figures["splits"]["validation"]["pairs"] == 1_647
    assert figures["leakage"]["validation"]["rows_normalised"] == 0
    assert figures["rows"]["used"] + figures["rejected"]["leakage"] == 13_686


def jfleg(format: str) -> dict[tuple[str, str], tuple[int, str, str]]:
    """The edits of all corrections with exactly one."""
    edits = {}
    for row in read_corpus(fetch_data(f"path:{CORPORA / 'jfleg'}"), "jfleg", format=format, join_tokens=False):
        if isinstance(row, Row):
            try:
                pair = pairs_of(row, PARAMS, "")[0]
            except ValueError:
                continue
            edits[pair.before, pair.after] = (pair.edit_start, pair.removed, pair.inserted)
    return edits


def test_jfleg_gives_the_same_pairs_from_both_of_its_forms():
    """Where a correction is the same in both; what differs is explained by the next test."""
    m2, plain = jfleg("m2"), jfleg("jfleg")
    assert (len(m2), len(plain), len(m2.keys() & plain.keys())) == (528, 496, 442)
    assert all(m2[pair] == plain[pair] for pair in m2.keys() & plain.keys())


def test_what_jflegs_m2_file_says_otherwise_is_case_and_spacing():
    """It was made from lower-cased text, so a change of case is no edit in it; and it splits `cannot` and the like."""
    folder = CORPORA / "jfleg"
    references = [[line.split() for _, line in read_lines(folder / f"dev.ref{number}")] for number in range(4)]
    found: Counter[str] = Counter()
    others = defaultdict(int)
    for at, block in enumerate(map(parse, blocks(read_lines(folder / "dev.ref.m2")))):
        for number, lines in enumerate(references):
            plain = " ".join(lines[at])
            try:
                after = " ".join(corrected(block.tokens, block.annotators.get(str(number), [])))
            except ValueError:
                found["edits outside the sentence"] += 1
                continue
            same = _difference(after, plain)
            found[same] += 1
            others[block.line] += same == "otherwise"
    assert found == {
        "the same": 2381, "case": 528, "spacing": 19, "case and spacing": 19, "otherwise": 57,
        "edits outside the sentence": 12,
    }  # fmt: skip
    assert sum(count > 0 for count in others.values()) == 23  # sentences whose M2 edits count other tokens


def _difference(one: str, other: str) -> str:
    if one == other:
        return "the same"
    if one.lower() == other.lower():
        return "case"
    one, other = (re.sub(" ", "", text) for text in (one, other))
    return "spacing" if one == other else "case and spacing" if one.lower() == other.lower() else "otherwise"
