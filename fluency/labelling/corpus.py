"""The corpus that a judge's labels make: rows as `data.source` takes them, and a card that accounts for the others."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluency.corpus.rows import category
from fluency.labelling.selection import Selection
from fluency.llm_judge.cache import digest
from fluency.llm_judge.params import LLMParams
from fluency.llm_judge.prompt import THRESHOLD
from fluency.llm_judge.run import judge
from fluency.utils.files import written_aside
from fluency.utils.markdown import table


@dataclass(frozen=True)
class Corpus:
    """What the judge says of a selection.

    Attributes:
        rows: the edits with a verdict, as rows of a corpus.
        aside: how many rewrites are none of them, by reason.
        told: what came of the questions, in a line or two.
    """

    rows: list[dict[str, Any]]
    aside: Counter[str]
    told: str

    @property
    def fluent(self) -> int:
        """How many rows have label 1."""
        return sum(row["label"] for row in self.rows)

    def write(self, folder: Path, heading: str) -> None:
        """Write the rows and a card into a new folder, whole or not at all.

        Args:
            heading: what the card begins with: a title, and where the edits come from.
        """
        labels = [("label 0", len(self.rows) - self.fluent), ("label 1", self.fluent)]
        counts = table(("rewrites", "count"), [*labels, *self.aside.items()])
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows)
        with written_aside(folder) as aside:
            aside.mkdir()
            (aside / "labelled.jsonl").write_text("".join(lines), encoding="utf-8")
            (aside / "README.md").write_text(f"{heading}\n\n{counts}\n", encoding="utf-8")


def labelled(selection: Selection, params: LLMParams, answers: Path) -> Corpus:
    """Ask the judge about each edit of a selection that has no answer in the folder `answers`.

    Raises:
        UserError: as `judge` does.
    """
    pairs = [{"id": digest(change), "before": change[0], "after": change[1]} for change in selection.changes]
    judgements = judge(pairs, params, answers)
    unanswered = (row for row in judgements.rows if row["outcome"] != "answered")
    aside = selection.aside + Counter(category(f"{row['outcome']}: {row['problem']}") for row in unanswered)
    return Corpus(list(_rows(selection, judgements.rows)), aside, judgements.told)


def _rows(selection: Selection, judged: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for (before, after), score, row in zip(selection.changes, selection.scores.tolist(), judged, strict=True):
        if row["outcome"] == "answered":
            said = {"label": int(row["score"] >= THRESHOLD), "judge_score": row["score"], "reason": row["reason"]}
            place = {"split": "train", "part": "judged"}
            yield {"before": before, "after": after, **said, "model_score": round(score, 4), **place}
