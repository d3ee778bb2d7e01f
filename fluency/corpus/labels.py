"""What the labels of a corpus mean: 1 (fluent) or 0. What is not known stops the run; no label is guessed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from fluency.corpus.drafts import is_blank, number_of
from fluency.utils.errors import UserError

_MEANS = {
    **dict.fromkeys(("1", "true", "fluent", "acceptable", "correct", "grammatical", "good"), 1),
    **dict.fromkeys(("0", "false", "unacceptable", "incorrect", "ungrammatical", "disfluent", "bad"), 0),
    **{f"{no}{word}": 0 for no in ("non", "not") for word in ("fluent", "acceptable", "correct", "grammatical")},
}
_BESIDE_LETTERS = re.compile(r"(?<=[^\W\d_])[\s_-]+|[\s_-]+(?=[^\W\d_])")  # beside digits they make another number
_OF_YAML = {"true": ("yes", "on"), "false": ("no", "off")}  # `labels: {yes: 1}` arrives as `true: 1`


@dataclass(frozen=True)
class Labels:
    """The meaning of one file's labels.

    Attributes:
        file: it, for errors.
        meant: what the source says of its labels: 0, 1 or None (leave the row out).
        threshold: labels are numbers, and fluent from here on; None where they are not.
        names: the names of a categorical column's classes, by column.
    """

    file: Path
    meant: Mapping[str, int | None] = field(default_factory=dict)
    threshold: float | None = None
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        meant = {_key(label): meaning for label, meaning in self.meant.items()}
        for word, words in _OF_YAML.items():
            meant = {**dict.fromkeys(words, meant[word]), **meant} if word in meant else meant
        object.__setattr__(self, "meant", meant)

    def check(self, column: str) -> None:
        """Raise UserError where the name of a class says neither fluent nor not."""
        for name in self.names.get(column, ()):
            if self.threshold is None:
                self._meaning(column, name)

    def __call__(self, column: str, value: Any) -> int:
        """The label, 0 or 1, that a value of the column means.

        Raises:
            ValueError: the row has no label.
            UserError: the value is one of others than two, and nothing says what it means.
        """
        if value in (0, 1) and not self.names and not self.meant and self.threshold is None:
            return int(value)
        nothing = value.strip() in ("", "nan", "NaN") if isinstance(value, str) else is_blank(value)
        if nothing or not isinstance(value, str | int | float | Decimal):
            raise ValueError(f"{column}: neither 0 nor 1; found {value!r}"[:200])
        names = self.names.get(column, ())
        if names and value not in names and not isinstance(value, bool):  # a number of a class, in CSV as text
            number = _key(value)
            if number == "-1":  # as `datasets` has it
                raise ValueError(f"{column}: neither 0 nor 1; found none")
            if number not in map(str, range(len(names))):
                raise UserError(f"{self.file}: {column}: {value!r} is no class of {', '.join(names)}"[:500])
            value = names[int(number)]
        meaning = self._meaning(column, value)
        if meaning is None:
            raise ValueError(f"{column}: left out by the source's labels; found {value!r}"[:200])
        return meaning

    def _meaning(self, column: str, value: Any) -> int | None:
        if self.threshold is not None:
            if (grade := number_of(value)) is not None:
                return int(grade >= self.threshold)
        elif (key := _key(value)) in (means := self.meant or _MEANS):
            return means[key]
        raise UserError(
            f"{self.file}: {column}: nothing says what {value!r} means; give the source its "
            "labels: {LABEL: 0 or 1, ...} or, where it is a grade, threshold: NUMBER"
        )


def says_label(value: Any) -> bool:
    """Whether a word says that an edit is fluent or not, and nothing else: `bad`, `not acceptable`."""
    return isinstance(value, str) and _key(value) in _MEANS.keys() - {"0", "1", "true", "false"}


def _key(label: Any) -> str:
    """A label in one spelling: `1` of 1.0 and `1`, `nonfluent` of `Non-fluent`, `true` of True."""
    number = number_of(label)
    if number is None:
        return _BESIDE_LETTERS.sub("", str(label).casefold())
    return f"{number:.0f}" if number.is_integer() else repr(number)
