"""The audit as a page to read: data/pairs/AUDIT.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from fluency.corpus.rows import Row
from fluency.utils.markdown import code, table

_CHARACTERS = 300  # of a sentence, on the page


def as_markdown(
    report: Mapping[str, Any],
    examples: Mapping[str, Sequence[Row]],
    rejected: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    """The page.

    Args:
        report: the content of metrics/data.json.
        examples: rows to look at, by what is odd about them.
        rejected: a few rejected rows, by reason.
    """
    splits, leakage = report["splits"], report["leakage"]
    scopes = [(corpus, split, its) for corpus, given in report["corpora"].items() for split, its in given.items()]
    parts = sorted({part for its in splits.values() for part in its["parts"]})
    figures = ("pairs", "positives", "share_positive", "groups", "duplicates", "label_conflicts")
    return "\n".join(
        [
            "# Audit of the data",
            "",
            table(["rows", ""], report["rows"].items()),
            "",
            "## Rejected rows",
            "",
            *(_rejects(report["rejected"], rejected) if report["rejected"] else ["There are none."]),
            "",
            "## Corpora, as their sources give them",
            "",
            "Ambiguous: the removed text stands elsewhere in the sentence too (words: as whole words).",
            "",
            table(
                ["corpus", "split", *scopes[0][2]],
                [(name, split, *its.values()) for name, split, its in scopes],
                left=2,
            ),
            "",
            "## Splits",
            "",
            table(["split", *figures], ((name, *(its[key] for key in figures)) for name, its in splits.items())),
            "",
            table(
                ["pairs of", *splits], ((part, *(i["parts"].get(part, 0) for i in splits.values())) for part in parts)
            ),
            "",
            "## Leakage",
            "",
            "Rows that share a sentence with an earlier split; normalised: up to case, spacing and Unicode form.",
            "",
            table(
                ["split", "rows", "normalised", "groups", "by corpus"],
                (
                    (name, its["rows"], its["rows_normalised"], its["groups"], _listed(its["corpora"]))
                    for name, its in leakage.items()
                ),
            ),
            "",
            "## Rows to look at",
            "",
            *(_example(title, row) for title, rows in examples.items() for row in rows),
            "",
        ]
    )


def _rejects(counts: Mapping[str, int], rejected: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    return [
        "They stand whole in `rejected.parquet`, with their reason, file and line.",
        "",
        table(["reason", "rows"], counts.items()),
        "",
        *(_rejected(record) for records in rejected.values() for record in records),
    ]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _rejected(record: Mapping[str, Any]) -> str:
    return f"- {_short(record['reason'])} ({_short(record['file'])}, line {record['line']}): {_short(record['row'])}"


def _example(title: str, row: Row) -> str:
    label = "" if row.label is None else f", label {row.label}"
    after = "" if row.after is None else f" → {_short(row.after)}"
    return f"- {title} ({_short(row.file)}, line {row.line}{label}): {_short(row.before)}{after}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return code(line if len(line) <= _CHARACTERS else f"{line[:_CHARACTERS]} …")
