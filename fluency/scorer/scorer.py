"""The scorer: the probability that an edit keeps a sentence fluent, and the decision whether to accept it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import chain, islice
from pathlib import Path
from threading import Lock

import numpy as np
import torch

from fluency.edits.forms import AnyEdit, CannotScore, Change
from fluency.evaluation.calibration import Calibration
from fluency.evaluation.monitor import Monitor
from fluency.model.classifier import Classifier, load_classifier
from fluency.model.device import device_at_hand
from fluency.scorer.artifact import checked, locate, whole_name
from fluency.scorer.inputs import change_of, change_or_error, each_edit
from fluency.scorer.outcome import Errors, Outcome, Outside, Readable, outcomes_of, readable_or_error, scores_of
from fluency.scorer.rewrite import MAX_SHARE, Rewrite, judged
from fluency.utils.processes import PROCESS


class FluencyScorer:
    """Scores edits with a trained model and its calibration.

    A score is the calibrated probability that the edit keeps or improves fluency; it depends on the edit alone, not on
    others scored with it. Both sentences are scored in their normal form (`inputs.visible`). An edit that changes
    nothing there keeps fluency by definition: it scores 1, and the model isn't asked. Threads may share a scorer.
    Pickled, it is a few hundred bytes: each worker loads the model again, once.

    Attributes:
        at_once: edits of a stream that are sorted by length together; it holds twice as many at the most.

    Example:
        >>> scorer = FluencyScorer.load("models/fluency")  # doctest: +SKIP
        >>> scorer.score("This are a test.", "This is a test.") > 0.5  # doctest: +SKIP
        True
    """

    at_once = 4096

    def __init__(self, classifier: Classifier, calibration: Calibration) -> None:
        self.classifier = classifier
        self.calibration = calibration
        self._origin: tuple[object, ...] | None = None
        self._process, self._tokenising, self._predicting = os.getpid(), Lock(), Lock()

    @classmethod
    def load(cls, source: str | Path, *, revision: str | None = None, bf16: bool | None = None) -> "FluencyScorer":
        """Load a model and its calibration; no code of a model folder is ever run.

        Args:
            source: a model's folder; a git repository of this project (an address or a folder), whose DVC remote has
                the model; or a hub's OWNER/NAME.
            revision: of the repository: a branch, tag, commit or DVC experiment.
            bf16: whether torch computes in bfloat16; None does on a GPU that has it, as evaluation does.

        Raises:
            UserError: there is no model, it is out of reach, it isn't whole, or it isn't ours.
        """
        if os.getpid() != PROCESS:  # a forked worker would wait without end for the OpenMP threads of its parent
            torch.set_num_threads(1)
        folder = locate(source, revision)
        calibration = checked(folder)
        device = device_at_hand()
        classifier = load_classifier(folder, device if bf16 is None else replace(device, bf16=bf16))
        scorer = cls(classifier, calibration)
        scorer._origin = whole_name(source), revision, bf16
        return scorer

    def score(self, before: str, after: str, *, outside: Outside = "score") -> float:
        """The calibrated probability that the edit keeps or improves fluency.

        Args:
            outside: as for `score_edits`.

        Raises:
            CannotScore: as for `score_edits`.
        """
        return float(self.score_edits([(before, after)], outside=outside)[0])

    def score_edits(
        self, edits: Iterable[AnyEdit], *, errors: Errors = "raise", outside: Outside = "score"
    ) -> np.ndarray:
        """Calibrated probabilities of many edits, of shape [edits], in their order.

        Args:
            edits: each in one of the forms that `forms.as_change` takes: (before, after), (sentence, Edit),
                (sentence, part, rewrite) or (sentence, part, rewrite, occurrence); or a record with the columns of
                `forms.from_record`. A DataFrame or a dict of such columns is taken by its rows.
            errors: what becomes of an edit that cannot be scored: `raise`, or `nan` in its place.
            outside: what becomes of an edit unlike any that the calibration has seen (which `decide` does not accept):
                `score` gives what the model says all the same, `nan` puts NaN in its place, `refuse` takes it as one
                that cannot be scored.

        Raises:
            CannotScore: an edit cannot be scored; the message has its index and why.
            UserError: the model gives no finite number.
        """
        outcomes = self.score_stream(edits, ask_outside=outside == "score")
        return scores_of(outcomes, errors=errors, outside=outside)

    def score_rewrite(self, before: str, after: str, *, max_share: float = MAX_SHARE) -> Rewrite:
        """The edits that make up a rewrite, each scored in its context, and what they come to.

        Args:
            max_share: of the words and marks, the most that may change; beyond it, it is another text, and no edit.

        Raises:
            CannotScore: a sentence is empty, no text or too long, or more of it changes than `max_share`.
            ValueError: `max_share` is no share.
        """
        change, threshold = change_of((before, after)), self.calibration.threshold
        return judged(change, self.score_stream, max_share=max_share, threshold=threshold)

    def score_stream(
        self, edits: Iterable[AnyEdit], *, ask_outside: bool = True, monitor: Monitor | None = None
    ) -> Iterator[Outcome]:
        """Scores of an endless stream of edits, in their order and in constant memory.

        Args:
            ask_outside: whether the model is asked about edits outside support; it takes time.
            monitor: watches the edits that the model is asked about.

        Yields:
            The score of an edit, or instead of it the CannotScore that says why it has none; of an OutsideSupport,
            `score` has what the model says, if it was asked.
        """
        edits = iter(each_edit(edits))
        chunks = iter(lambda: list(islice(edits, self.at_once)), [])
        return chain.from_iterable(self.score_chunks(chunks, ask_outside=ask_outside, monitor=monitor))

    def score_chunks(
        self,
        chunks: Iterable[Sequence[AnyEdit | CannotScore]],
        *,
        ask_outside: bool = True,
        monitor: Monitor | None = None,
    ) -> Iterator[list[Outcome]]:
        """Scores of a stream that is cut already: what stands in a chunk is sorted by length together.

        Args:
            chunks: of edits; a CannotScore among them keeps its place. A chunk's scores leave once the next chunk
                is there, which is tokenised while the model is busy: an empty one lets them go.
            ask_outside, monitor: as for `score_stream`.

        Yields:
            What `score_stream` yields of each edit, for one chunk after the other.
        """
        self._after_fork()
        waiting = None
        with ThreadPoolExecutor(1) as ahead:
            for chunk in chunks:
                following = ahead.submit(self._prepared, chunk, ask_outside)
                if waiting is not None:
                    yield self._outcomes(*waiting, monitor)
                waiting = following.result()
        if waiting is not None:
            yield self._outcomes(*waiting, monitor)

    def decide(
        self,
        edits: Iterable[AnyEdit],
        *,
        threshold: float | None = None,
        min_precision: float | None = None,
        confidence: float | None = None,
        errors: Errors = "raise",
        outside: Outside = "refuse",
    ) -> np.ndarray:
        """Whether to accept each edit, of shape [edits], bool: its score reaches the calibrated operating point.

        Args:
            edits, errors: as for `score_edits`; what has no score is not accepted.
            threshold: this operating point instead.
            min_precision: instead, the one with the most recall at this precision, on the validation pairs.
            outside: as for `score_edits`, but that `refuse` and `nan` both do not accept an edit, and none raises.
            confidence: how sure that precision is to be, on text like validation, such as 0.95.

        Raises:
            CannotScore: as for `score_edits`.
            UserError: no threshold has that precision, or none with that confidence.
        """
        threshold = self.calibration.threshold_at(
            threshold=threshold, min_precision=min_precision, confidence=confidence
        )
        outside = "nan" if outside == "refuse" else outside
        return self.score_edits(edits, errors=errors, outside=outside) >= threshold

    def __reduce__(self) -> tuple[object, ...]:
        if self._origin is None:
            raise TypeError("only a scorer that FluencyScorer.load made can be pickled: workers load it again")
        return loaded_once, self._origin

    def _prepared(
        self, edits: Sequence[AnyEdit | CannotScore], ask_outside: bool
    ) -> tuple[list[Change | CannotScore], dict[Change, Readable | CannotScore]]:
        """What each edit stands for, and once each of the changes that the model is to be asked about."""
        asked = [change_or_error(edit) for edit in edits]
        changes = list(dict.fromkeys(its for its in asked if isinstance(its, tuple) and its[0] != its[1]))
        if not changes:
            return asked, {}
        reader = self.classifier.reader
        with self._tokenising:
            items, unseen = reader.tokenise(changes, cut=False), reader.unseen(changes)
        rows = zip(changes, items, map(reader.length, items), unseen, strict=True)
        return asked, {row[0]: readable_or_error(*row, self.calibration, ask_outside) for row in rows}

    def _outcomes(
        self,
        asked: list[Change | CannotScore],
        prepared: dict[Change, Readable | CannotScore],
        monitor: Monitor | None,
    ) -> list[Outcome]:
        known: dict[Change, Outcome] = {its: item for its, item in prepared.items() if isinstance(item, CannotScore)}
        rest = {its: item for its, item in prepared.items() if isinstance(item, Readable)}
        if rest:
            with self._predicting:
                logits = self.classifier.logits(self.classifier.reader.read([its.item for its in rest.values()]))
                found, values = outcomes_of(rest, logits, self.calibration)
                if monitor is not None:
                    rows = {change: row for row, change in enumerate(rest)}
                    shown = [its for its in asked if its in rows]
                    monitor.watch(shown, values[[rows[its] for its in shown]])
            known |= found
        # only identities are not asked
        return [item if isinstance(item, CannotScore) else known.get(item, 1.0) for item in asked]

    def _after_fork(self) -> None:
        """In a forked worker, neither the parent's locks nor its threads are of use.

        It has to be called where the model is: OpenMP's number of threads is that of the calling thread.
        """
        if self._process != os.getpid():
            self._process, self._tokenising, self._predicting = os.getpid(), Lock(), Lock()
            self.classifier.after_fork()


@cache
def loaded_once(source: str, revision: str | None, bf16: bool | None) -> FluencyScorer:
    """The scorer that this process shares, by the arguments of `FluencyScorer.load`."""
    return FluencyScorer.load(source, revision=revision, bf16=bf16)
