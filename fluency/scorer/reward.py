"""The scorer as a reward for language models that rewrite sentences, in the form that TRL's trainers call."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fluency.edits.forms import AnyEdit, CannotScore, EditNotFound, check_sentence

if TYPE_CHECKING:
    from fluency.scorer.scorer import FluencyScorer, Outcome

Completion = str | Sequence[Mapping[str, Any]]  # plain, or messages, of which the last counts

_NOT_OF_THE_DATA = ("completion_ids", "environments")  # lists that TRL adds to the data set's columns


class FluencyReward:
    """Rewards a completion by the probability, from 0 to 1, that it keeps or improves the fluency of a sentence.

    A completion that changes nothing earns 1, as no edit harms nothing: what else it should do, another reward must
    say. White space around a completion does not count, and where it replaces a part, an empty one deletes the part.

    Args:
        scorer: of which each process of a training loads its own.
        before: the data set's column that has the sentence before the edit.
        part: the column that has the part of it which the completion replaces; a column `occurrence` says which one
            where it stands there more than once. None where the completion is the whole rewritten sentence.
        unscorable: what a completion earns that has no score, as it is empty, too long or no text; with None, TRL
            leaves this reward out. Where the data set's row is at fault, it is None in any case, and TRL warns.

    Attributes:
        __name__: by which TRL logs it.

    Example:
        >>> reward = FluencyReward(FluencyScorer.load("models/fluency"))  # doctest: +SKIP
        >>> trainer = GRPOTrainer(model, reward, train_dataset=...)  # doctest: +SKIP
    """

    def __init__(
        self,
        scorer: "FluencyScorer",
        *,
        before: str = "before",
        part: str | None = None,
        unscorable: float | None = 0.0,
    ) -> None:
        if not hasattr(scorer, "score_stream"):
            raise TypeError(f"scorer: expected a FluencyScorer, found {scorer!r}; FluencyScorer.load makes one")
        self.scorer = scorer
        self.before = before
        self.part = part
        self.unscorable = unscorable
        self.__name__ = "fluency"

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """The reward of each completion.

        Args:
            prompts: not looked at.
            completions: of shape [completions].
            columns: what the data set has beside the prompts, each of shape [completions]; and what else TRL gives.

        Raises:
            ValueError: the data set has no such column, or not as many of its rows as there are completions.
        """
        columns = {
            name: values
            for name, values in columns.items()
            if isinstance(values, Sequence) and name not in _NOT_OF_THE_DATA
        }
        texts = [_text(completion) for completion in completions]
        sentences = _column("before", self.before, columns, len(texts))
        edits: list[AnyEdit] = list(zip(sentences, texts, strict=True))
        if self.part is not None:
            parts = _column("part", self.part, columns, len(texts))
            occurrences = columns.get("occurrence", [None] * len(texts))
            edits = list(zip(sentences, parts, texts, occurrences, strict=True))
        outcomes = self.scorer.score_stream(edits)
        return [self._reward(sentence, outcome) for sentence, outcome in zip(sentences, outcomes, strict=True)]

    def _reward(self, sentence: Any, outcome: "Outcome") -> float | None:
        if not isinstance(outcome, CannotScore):
            return outcome
        return None if isinstance(outcome, EditNotFound) or not _is_sentence(sentence) else self.unscorable


def _column(argument: str, name: str, columns: Mapping[str, Sequence[Any]], rows: int) -> Sequence[Any]:
    if name not in columns:
        there = ", ".join(columns) or "none"
        raise ValueError(f"{argument}: the data set has no column {name!r} beside the prompts, but {there}; name it")
    if len(columns[name]) != rows:
        raise ValueError(f"{argument}: {len(columns[name])} values of {name!r} for {rows} completions; give as many")
    return columns[name]


def _text(completion: Completion) -> Any:
    """What the model wrote, if it is text; a message may have its text in parts."""
    text: Any = completion
    if isinstance(completion, Sequence) and not isinstance(completion, str):
        text = completion[-1].get("content") if completion else None
        if isinstance(text, list):
            text = "".join(part.get("text", "") for part in text)
    return text.strip() if isinstance(text, str) else text


def _is_sentence(sentence: Any) -> bool:
    try:
        check_sentence("before", sentence)
    except CannotScore:
        return False
    return True
