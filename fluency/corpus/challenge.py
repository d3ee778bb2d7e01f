"""The challenge set: hand-written edits that training never sees, in the sample's form."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fluency.corpus.drafts import read_sample
from fluency.edits.forms import Change
from fluency.utils.errors import UserError

# What an edit does: the first two are to be refused, the others to be accepted.
ROLES = ("absurd", "mistake", "repair", "keeping")
LENGTHS = {"to 4 words": 4, "to 8 words": 8, "to 16 words": 16, "longer": None}  # of the longer sentence


@dataclass(frozen=True, slots=True)
class Challenge:
    """One edit of the challenge set.

    Attributes:
        change: the sentences before and after.
        role: one of `ROLES`.
        kind: of mistake or change.
    """

    change: Change
    role: str
    kind: str

    @property
    def label(self) -> int:
        """1 where the edit is to be accepted, else 0."""
        return int(self.role in ("repair", "keeping"))

    @property
    def length(self) -> str:
        """One of `LENGTHS`, by the longer sentence."""
        words = max(len(sentence.split()) for sentence in self.change)
        return next(name for name, most in LENGTHS.items() if most is None or words <= most)


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
            "labelled": [("absurd", forth)],
            "correction": [("mistake", back), ("repair", forth)],
            "rewrite": [("keeping", forth), ("keeping", back)],
        }[draft.relation]
        for role, change in roles:
            yield Challenge(change, role, str(draft.kind))
