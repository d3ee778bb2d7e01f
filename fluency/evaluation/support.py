"""The support of a calibration: what fluent edits of validation look like. Beyond it, no score was ever checked."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fluency.edits.edit import extract, tokenize
from fluency.edits.forms import CannotScore, Change
from fluency.utils.errors import UserError

LEVEL = 0.999  # of validation's fluent edits, by each measure, lies within its bound
_SAID = {
    "words": "words in the longer sentence",
    "characters": "characters in the longer sentence",
    "changed": "words and marks changed",
    "share": "of the words and marks changed",
    "out_of_vocabulary": "more words that validation does not know than words that it knows",
}


class OutsideSupport(CannotScore):
    """An edit unlike any that the calibration has seen; the message says in what.

    Attributes:
        score: what the model says of it all the same; NaN where it was not asked.
    """

    def __init__(self, message: str, score: float = float("nan")) -> None:
        super().__init__(message)
        self.score = score


@dataclass(frozen=True)
class Support:
    """Bounds of what an edit may look like, learnt from validation.

    Attributes:
        level: the share of validation's fluent edits within each bound.
        bounds: least and most of each measure (`measures`), and of words `out_of_vocabulary`.
        vocabulary: the words of validation's fluent edits. A text of another language has few of them.
    """

    level: float
    bounds: Mapping[str, Sequence[float]]
    vocabulary: frozenset[str] = frozenset()

    def outside(self, change: Change, measured: Mapping[str, float] | None = None) -> str:
        """In what the change is out of bounds, in words; empty where it is within all of them.

        A sentence without a letter or digit is out of bounds too: it has no words, so validation tells nothing of it.

        Args:
            measured: its `measures`, if they are known.
        """
        if not all(any(map(str.isalnum, sentence)) for sentence in change):
            return "outside support; a sentence without letter or digit"
        values = {**(measured or measures(change)), "out_of_vocabulary": out_of_vocabulary(change, self.vocabulary)}
        for name, (low, high) in self.bounds.items():
            if not low <= (value := values[name]) <= high:
                return f"outside support; {value:.4g} {_SAID[name]}, where validation has {low:.4g} to {high:.4g}"
        return ""

    def counts(self, changes: Sequence[Change], accepted: np.ndarray) -> dict[str, int]:
        """How many `pairs` there are, how many are `outside`, and how many of these are accepted by their score alone.

        Args:
            accepted: whether the score of each change reaches the operating point, of shape [changes].
        """
        outside = np.array([bool(self.outside(change)) for change in changes], dtype=bool)
        both = int((outside & accepted).sum())
        return {"pairs": len(changes), "outside": int(outside.sum()), "outside_accepted_at_operating_point": both}

    def __str__(self) -> str:
        """One line, as `summary` prints it."""
        bounds = "; ".join(f"{low:.4g} to {high:.4g} {_SAID[name]}" for name, (low, high) in self.bounds.items())
        held = f"each bound holds {self.level:.1%} of validation's fluent ones"
        return f"supported edits ({held}): {bounds}; a letter or digit in each sentence"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Support":
        """From what JSON gives of one.

        Raises:
            KeyError, TypeError, ValueError: the values are of something else.
        """
        bounds = {name: (float(low), float(high)) for name in _SAID for low, high in [values["bounds"][name]]}
        return cls(float(values["level"]), bounds, frozenset(map(str, values["vocabulary"])))


def measures(change: Change) -> dict[str, float]:
    """How long an edit's sentences are, and how much of them it changes: the figures that `Support` bounds."""
    edits = extract(*change)
    changed = sum(max(_tokens(edit.removed), _tokens(edit.inserted)) for edit in edits)
    return {
        "words": max(len(sentence.split()) for sentence in change),
        "characters": max(map(len, change)),
        "changed": changed,
        "share": changed / max(1, *map(_tokens, change)),
    }


def _tokens(text: str) -> int:
    return sum(not token.isspace() for token in tokenize(text))


def out_of_vocabulary(change: Change, vocabulary: Collection[str]) -> int:
    """By how many more of a sentence's words are out of the vocabulary than in it; the larger number of both sentences.

    It is 0 where there are no more.
    """
    return max(0, *(sum(1 if word not in vocabulary else -1 for word in _words(sentence)) for sentence in change))


def _words(sentence: str) -> list[str]:
    return [token for token in tokenize(sentence.casefold()) if token[0].isalpha()]


def support_of(
    changes: Sequence[Change],
    measured: Sequence[Mapping[str, float]],
    labels: np.ndarray,
    groups: np.ndarray,
    level: float = LEVEL,
) -> Support:
    """The support that validation's edits give.

    Only fluent edits count: those that harm are no evidence that an edit like them can be accepted, and absurd ones
    reach from one end to the other. Least words have a bound, as the model is worst where there is least context;
    what else an edit has little of harms nothing. A text to come is of no group of validation's, so a word that one
    group alone has counts as out of the vocabulary there.

    Args:
        measured: `measures` of each edit.
        labels: of shape [edits], 0 or 1.
        groups: of shape [edits].

    Raises:
        UserError: no edit has label 1.
    """
    rows = np.flatnonzero(labels == 1).tolist()
    if not rows:
        raise UserError("validation has no pair with label 1, which would tell what a fluent edit looks like")
    of_groups = {(groups[row], word) for row in rows for sentence in changes[row] for word in _words(sentence)}
    groups_with = Counter(word for _, word in of_groups)
    shared = {word for word, count in groups_with.items() if count > 1}
    fluent = [{**measured[row], "out_of_vocabulary": out_of_vocabulary(changes[row], shared)} for row in rows]
    bounds = {}
    for name in _SAID:
        values = [its[name] for its in fluent]
        low = np.quantile(values, 1 - level, method="lower") if name == "words" else 0
        bounds[name] = (float(low), float(np.quantile(values, level, method="higher")))
    return Support(level, bounds, frozenset(groups_with))
