"""The challenge set: hand-written edits that training never sees, and how many of each kind are decided wrongly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from fluency.corpus.formats import read_sample
from fluency.edits.forms import Change
from fluency.utils.errors import UserError

# What is asked of an edit: to be refused, to be accepted since it mends a mistake, or since both sides are fluent.
ROLES = ("harm", "repair", "keep")
_SHORT, _MEDIUM = 4, 8  # words of the longer sentence


@dataclass(frozen=True, slots=True)
class Challenge:
    """One edit of the challenge set.

    Attributes:
        change: the sentences before and after.
        role: one of `ROLES`.
        kind: of mistake or change.
        set: the file that it stands in.
    """

    change: Change
    role: str
    kind: str
    set: str

    @property
    def label(self) -> int:
        return 0 if self.role == "harm" else 1

    @property
    def length(self) -> str:
        """`short` (to 4 words), `medium` (to 8) or `long`."""
        words = max(len(sentence.split()) for sentence in self.change)
        return "short" if words <= _SHORT else "medium" if words <= _MEDIUM else "long"


def read_challenge(folder: Path) -> list[Challenge]:
    """The edits in the .txt files of a folder, each written as in the sample.

    Raises:
        UserError: the folder has no such file, or a line is no edit.
    """
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise UserError(f"{folder}: holds no .txt file; the challenge set is part of the repository")
    return [challenge for file in files for challenge in _read_file(file)]


def _read_file(file: Path) -> Iterator[Challenge]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            (draft,) = read_sample(line)
        except ValueError as error:
            raise UserError(f"{file}: line {number}: {error}") from None
        if draft.after is None:
            raise UserError(f"{file}: line {number}: a sentence without an edit")
        forth, back = (draft.before, draft.after), (draft.after, draft.before)
        roles = {
            "labelled": [("harm", forth)],
            "correction": [("harm", back), ("repair", forth)],
            "rewrite": [("keep", forth), ("keep", back)],
        }[draft.relation]
        for role, change in roles:
            yield Challenge(change, role, str(draft.kind), file.stem)


def challenge_figures(edits: Sequence[Challenge], scores: np.ndarray, threshold: float) -> dict[str, Any]:
    """How many edits of each kind are decided wrongly at the operating point.

    Args:
        scores: of the edits, of shape [edits].

    Returns:
        `harm` (wrongly accepted), `repair` and `keep` (wrongly refused), each with `edits`, `wrong`, the share `rate`
        and its exact 95 % interval `rate_low`, `rate_high` (Clopper and Pearson 1934), the same by length, and of each
        kind.
    """
    wrong = (scores >= threshold) != np.array([edit.label for edit in edits], dtype=bool)

    def of(rows: list[int]) -> dict[str, float]:
        return {"edits": len(rows), "wrong": int(wrong[rows].sum())} | _share(int(wrong[rows].sum()), len(rows))

    found: dict[str, Any] = {}
    for role in ROLES:
        rows = [row for row, edit in enumerate(edits) if edit.role == role]
        lengths = {
            length: [row for row in rows if edits[row].length == length] for length in ("short", "medium", "long")
        }
        kinds = {(edits[row].set, edits[row].kind) for row in rows}
        found[role] = of(rows) | {
            "lengths": {length: of(its) for length, its in lengths.items() if its},
            "kinds": {
                f"{name}/{kind}": of([row for row in rows if (edits[row].set, edits[row].kind) == (name, kind)])
                for name, kind in sorted(kinds)
            },
        }
    return found


def _share(wrong: int, edits: int) -> dict[str, float]:
    low = float(beta.ppf(0.025, wrong, edits - wrong + 1)) if wrong else 0.0
    high = float(beta.ppf(0.975, wrong + 1, edits - wrong)) if wrong < edits else 1.0
    return {"rate": wrong / edits, "rate_low": low, "rate_high": high}
