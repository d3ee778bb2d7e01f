"""The audit as a page to read, data/pairs/AUDIT.md; the text is in the template beside this module."""

from collections.abc import Mapping, Sequence
from typing import Any

from fluency.corpus.rows import Rejected, Row
from fluency.utils.markdown import code, table
from fluency.utils.templates import render

_CHARACTERS = 300  # of a sentence, on the page
_FIGURES = ("pairs", "positives", "share_positive", "share_reversed", "groups", "duplicates", "label_conflicts")


def audit_page(
    report: Mapping[str, Any],
    notes: Sequence[str],
    examples: Mapping[str, Sequence[Row]],
    rejected: Sequence[Rejected],
) -> str:
    """The page.

    Args:
        report: the content of metrics/data.json.
        notes: what was decided that no param says.
        examples: rows to look at, by what is odd about them.
        rejected: a few rejected rows.
    """
    splits = report["splits"]
    corpora = [(corpus, split, its) for corpus, given in report["corpora"].items() for split, its in given.items()]
    parts = sorted({part for its in splits.values() for part in its["parts"]})
    sources = sorted({corpus for its in splits.values() for corpus in its["corpora"]})
    leakage = [
        (
            name,
            its["rows"],
            its["rows_normalised"],
            its["rows_near"],
            its["groups"],
            ", ".join(f"{a} {b}" for a, b in its["corpora"].items()),
        )
        for name, its in report["leakage"].items()
    ]
    return render(
        __file__,
        filters={"table": table, "short": _short},
        report=report,
        notes=notes,
        rejected=rejected,
        corpora_head=["corpus", "split", *corpora[0][2]],
        corpora=[(name, split, *its.values()) for name, split, its in corpora],
        splits_head=["split", *_FIGURES],
        splits=[(name, *(its[key] for key in _FIGURES)) for name, its in splits.items()],
        parts_head=["pairs of", *splits],
        parts=[(part, *(its["parts"].get(part, 0) for its in splits.values())) for part in parts],
        sources_head=["pairs from", *splits],
        sources=[
            (name, *(_share(its["corpora"].get(name, 0), its["pairs"]) for its in splits.values())) for name in sources
        ],
        leakage=leakage,
        examples=[(title, row) for title, rows in examples.items() for row in rows],
    )


def _share(count: int, total: int) -> str:
    return f"{count} ({count / total:.0%})"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return code(line if len(line) <= _CHARACTERS else f"{line[:_CHARACTERS]} …")
