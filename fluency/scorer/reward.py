"""The scorer as a reward for language models that rewrite sentences, in the form that TRL's trainers call."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fluency.edits.forms import AnyEdit, CannotScore, Change, EditNotFound, EmptySentence
from fluency.edits.sentence import visible
from fluency.evaluation.monitor import Monitor
from fluency.evaluation.support import OutsideSupport
from fluency.scorer.completion import Completion, written_text
from fluency.scorer.inputs import change_or_error, is_missing, values_of
from fluency.scorer.outcome import Outcome

if TYPE_CHECKING:
    from fluency.scorer.scorer import FluencyScorer

_NOT_OF_THE_DATA = ("completion_ids", "environments")  # lists that TRL adds to the data set's columns


class FluencyReward:
    """Rewards a completion by the probability, from 0 to 1, that it keeps or improves the fluency of a sentence.

    A completion that changes nothing earns 1, since it does no harm, or what `copied` says: what else it should do,
    another reward must say. Only the model's own text is scored, and white space in it or in the sentence does not
    count. An empty one has no score, also where it would delete a part: a policy learns that first, as most sentences
    stay fluent with less in them.

    Args:
        scorer: of which each process of a training loads its own.
        before: the data set's column that has the sentence before the edit.
        part: the column that has the part of it which the completion replaces; a column `occurrence` says which one
            where it stands there more than once. None where the completion is the whole rewritten sentence.
        unscorable: what a completion earns that has no score, as it is empty, too long, no text, or an edit outside
            the calibration's support; with None, TRL leaves this reward out. Where the data set's row is at fault, it
            is None in any case, and TRL warns.
        copied: what a completion earns that changes nothing. At the operating point's threshold, no refused edit earns
            as much as a copy, and an accepted one earns as much or more: a margin over copying.
        name: by which TRL logs it; two rewards need two names.
        completion_text: gives a completion's text, or None; `written_text` takes off what stands in think tags.

    Attributes:
        __name__: the name.
        drift: in one line, in what the completions' edits no longer look like validation, so that no certificate holds
            for them; empty where they do (`evaluation.monitor`).

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
        copied: float = 1.0,
        name: str = "fluency",
        completion_text: Callable[[Completion], str | None] = written_text,
    ) -> None:
        if not hasattr(scorer, "score_stream"):
            raise TypeError(f"scorer: expected a FluencyScorer, found {scorer!r}; FluencyScorer.load makes one")
        self.scorer = scorer
        self.before = before
        self.part = part
        self.unscorable = unscorable
        self.copied = copied
        self.completion_text = completion_text
        self.__name__ = name

        self._monitor = Monitor(scorer.calibration.reference, once=True)

    @property
    def drift(self) -> str:
        return self._monitor.drift

    def __getstate__(self) -> dict[str, Any]:
        return {name: its for name, its in vars(self).items() if name != "_monitor"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._monitor = Monitor(self.scorer.calibration.reference, once=True)  # a worker begins its own

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """The reward of each completion.

        Args:
            prompts: not looked at.
            completions: of shape [completions].
            columns: what the data set has beside the prompts, each of shape [completions], as lists or arrays of NumPy,
                pandas or Arrow; and what else TRL gives. By its `log_metric` go the shares of completions that copy the
                sentence, lie outside support or are not accepted at the operating point, and `drift`, 1 once there is
                one, else 0; by its `log_extra` the reason why a completion has no score.

        Raises:
            ValueError: the data set has no such column, or not as many of its rows as there are completions.
        """
        return self.judged(prompts, completions, **columns)[0]

    def judged(
        self, prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any
    ) -> tuple[list[float | None], list[bool]]:
        """What a call gives, and which completions are accepted: edits that `decide` accepts, and no copies.

        Args:
            prompts, completions, columns: as for a call, which logs the same.
        """
        log_metric, log_extra = columns.get("log_metric"), columns.get("log_extra")
        columns = {name: values for name, values in columns.items() if _is_column(name, values)}
        texts = [_stripped(self.completion_text(completion)) for completion in values_of(completions)]
        sentences = _column("before", self.before, columns, len(texts))
        edits: list[AnyEdit] = list(zip(sentences, texts, strict=True))
        if self.part is not None:
            parts = map(_stripped, _column("part", self.part, columns, len(texts)))
            columns = {"occurrence": [None] * len(texts)} | columns
            occurrences = _column("occurrence", "occurrence", columns, len(texts))
            edits = list(zip(sentences, parts, texts, occurrences, strict=True))
        changes = [_written_change(edit, text) for edit, text in zip(edits, texts, strict=True)]
        outcomes = list(self.scorer.score_stream(changes, monitor=self._monitor))
        copies = [isinstance(its, tuple) and its[0] == its[1] for its in changes]
        threshold = self.scorer.calibration.threshold
        reached = [not isinstance(outcome, CannotScore) and outcome >= threshold for outcome in outcomes]
        if log_metric and outcomes:
            outside = [isinstance(outcome, OutsideSupport) for outcome in outcomes]
            flags = {"copied": copies, "outside_support": outside, "refused": [not its for its in reached]}
            for name, its in flags.items():
                log_metric(f"{self.__name__}/{name}", sum(its) / len(its))
            log_metric(f"{self.__name__}/drift", float(bool(self.drift)))
        if log_extra:
            reasons = [str(outcome) if isinstance(outcome, CannotScore) else "" for outcome in outcomes]
            log_extra(f"{self.__name__}_reason", reasons)
        earned = [self._reward(sentence, outcome) for sentence, outcome in zip(sentences, outcomes, strict=True)]
        rewards = [self.copied if copy else value for copy, value in zip(copies, earned, strict=True)]
        return rewards, [its and not copy for its, copy in zip(reached, copies, strict=True)]

    def _reward(self, sentence: Any, outcome: Outcome) -> float | None:
        if not isinstance(outcome, CannotScore):
            return outcome
        no_sentence = isinstance(change_or_error((sentence, sentence)), CannotScore)
        return None if no_sentence or isinstance(outcome, EditNotFound) else self.unscorable


def _written_change(edit: AnyEdit, text: Any) -> Change | CannotScore:
    """What the completion changes, or why it has no score; what is wrong with the data set's row comes first."""
    change = change_or_error(edit)
    if not isinstance(change, CannotScore) and not visible(text):
        return EmptySentence("completion: empty")
    return change


def _is_column(name: str, values: Any) -> bool:
    return hasattr(values, "__len__") and not isinstance(values, str | Mapping) and name not in _NOT_OF_THE_DATA


def _column(argument: str, name: str, columns: Mapping[str, Any], rows: int) -> list[Any]:
    if name not in columns:
        there = ", ".join(columns) or "none"
        raise ValueError(f"{argument}: the data set has no column {name!r} beside the prompts, but {there}; name it")
    if len(columns[name]) != rows:
        raise ValueError(f"{argument}: {len(columns[name])} values of {name!r} for {rows} completions; give as many")
    return [None if is_missing(value) else value for value in values_of(columns[name])]


def _stripped(text: Any) -> Any:
    return text.strip() if isinstance(text, str) else text
