"""What the data is: counts, balance, losses and leakage, as plain numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fluency.corpora import Rejected, Row
from fluency.pairs import Pair


def audit(rows: Sequence[Row], splits: Mapping[str, Sequence[Pair]], rejected: Sequence[Rejected]) -> dict[str, Any]:
    """The content of metrics/data.json.

    Returns:
        `rows` read by relation, `rejected` by reason, per split the counts of pairs, positives and groups (also for
        each part), and `leakage`: pairs whose group is also in an earlier split.
    """
    report: dict[str, Any] = {
        "rows": dict(sorted(Counter(row.relation for row in rows).items())),
        "rejected": dict(sorted(Counter(item.reason.split(":")[0].split(";")[0] for item in rejected).items())),
        "splits": {split: _counts(pairs) for split, pairs in splits.items()},
    }
    report["leakage"] = {}
    earlier: set[str] = set()
    for split, pairs in splits.items():
        if earlier:
            report["leakage"][split] = sum(pair.group in earlier for pair in pairs)
        earlier |= {pair.group for pair in pairs}
    return report


def _counts(pairs: Sequence[Pair]) -> dict[str, Any]:
    parts = sorted({pair.part for pair in pairs})
    return {
        "pairs": len(pairs),
        "positives": sum(pair.label for pair in pairs),
        "groups": len({pair.group for pair in pairs}),
        "parts": {part: sum(pair.part == part for pair in pairs) for part in parts},
    }
