"""Does the monitor keep its level, and how soon does it notice?

`python -m benchmarks.monitor` needs `make repro` first; writes benchmarks/monitor.json. Streams are drawn from the test
pairs of the sample, and shown to a monitor with validation's reference, 50 edits at a time; those with 8 rewrites of
each sentence also as a reward shows them, which is called for 8 sentences at a time.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.ablation import ENCODED, PAIRS
from fluency.edits.forms import Change
from fluency.evaluation.monitor import Monitor, Reference, features
from fluency.evaluation.support import measures
from fluency.model.encoded_pairs import EncodedPairs
from fluency.scorer.scorer import FluencyScorer
from fluency.utils.files import read_parquet, write_json

RESULT = Path(__file__).with_suffix(".json")
MODEL = Path("models/fluency")
STREAMS, EDITS, BATCH = 1000, 5000, 50
EACH, NEAR = 8, 50  # rewrites of a sentence, drawn from so many pairs on either side of it in length
SOON, OTHERS = 500, 300  # edits within which a change is to be noticed; unrelated rewrites to score
BASE_RATES = (0.2, 0.3, 0.4, 0.6, 0.8, 0.95)

Stream = Callable[[np.random.Generator], np.ndarray]  # features of edits, of shape [edits, features]


def main() -> None:
    scorer = FluencyScorer.load(MODEL)
    rows = read_parquet(PAIRS / "test.parquet")
    labels, groups = np.array([row["label"] for row in rows]), np.array([row["group"] for row in rows])
    scores = scorer.calibration.scores(scorer.classifier.logits(EncodedPairs(ENCODED / "test")))
    changes = [(row["before"], row["after"]) for row in rows]
    pool = features(list(map(measures, changes)), scores)
    unrelated = _unrelated([row["before"] for row in rows], scorer)
    changed = {
        "short sentences, 2 to 4 words": _of(pool[pool[:, 0] <= 4]),
        "unrelated rewrites": _of(unrelated),
        "one copied edit": lambda rng: np.repeat(pool[rng.integers(len(pool), size=1)], EDITS, axis=0),
    }
    fluent, harmful = _of(pool[labels == 1]), _of(pool[labels == 0])
    reference, rewrites = scorer.calibration.reference, _rewrites(pool)

    def shares(streams: dict[str, Stream], count: int = STREAMS) -> dict[str, dict[str, float]]:
        return {name: _noticed(stream, reference, count) for name, stream in streams.items()}

    start = perf_counter()
    Monitor(reference).watch(changes * 100, np.tile(pool, (100, 1)))
    result = {
        "streams": STREAMS,
        "edits": EDITS,
        "microseconds_an_edit": round(1e6 * (perf_counter() - start) / (100 * len(pool)), 2),
        "false_alarms": shares({"pairs": _of(pool), "whole groups": _grouped(pool, groups)})
        | {
            "8 rewrites of each sentence": _noticed(rewrites, reference, STREAMS, each=EACH),
            "8 rewrites, a reward's calls": _noticed(
                rewrites, reference, STREAMS, each=EACH, batch=8 * EACH, once=True
            ),
        },
        "changed": shares(changed),
        "a fifth changed": shares({name: _mixed(its, _of(pool), 0.2) for name, its in changed.items()}),
        "changed after 4,000": {
            name: _noticed(_late(its, _of(pool)), reference, STREAMS, since=4000) for name, its in changed.items()
        },
        "a fifth of each": shares({"all three": _all_three(list(changed.values()), _of(pool))}),
        "share of fluent edits": shares({f"{rate:.0%}": _mixed(fluent, harmful, rate) for rate in BASE_RATES}, 200),
    }
    write_json(RESULT, result)
    print(RESULT.read_text(encoding="utf-8"), end="")


def _unrelated(sentences: list[str], scorer: FluencyScorer) -> np.ndarray:
    """What a monitor looks at in rewrites of sentences into others."""
    drawn = np.random.default_rng(1).permutation(sorted(set(sentences)))[: 2 * OTHERS].tolist()
    changes: list[Change] = list(zip(drawn[:OTHERS], drawn[OTHERS:], strict=True))
    scores = scorer.score_edits(changes)
    return features([measures(change) for change in changes], scores)


def _of(pool: np.ndarray) -> Stream:
    return lambda rng: pool[rng.integers(len(pool), size=EDITS)]


def _grouped(pool: np.ndarray, groups: np.ndarray) -> Stream:
    """Whole groups, one after the other."""
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    return lambda rng: pool[np.concatenate([members[its] for its in rng.integers(len(members), size=EDITS)])[:EDITS]]


def _rewrites(pool: np.ndarray) -> Stream:
    """Edits of sentences, `EACH` of every one: what changes, and its score, are those of pairs of about its length."""
    by_words = pool[np.argsort(pool[:, 0], kind="stable")]

    def drawn(rng: np.random.Generator) -> np.ndarray:
        sentences = np.repeat(rng.integers(len(pool), size=EDITS // EACH), EACH)
        others = np.clip(sentences + rng.integers(-NEAR, NEAR + 1, size=len(sentences)), 0, len(pool) - 1)
        return np.column_stack([by_words[sentences, 0], by_words[others, 1:]])

    return drawn


def _mixed(some: Stream, others: Stream, share: float) -> Stream:
    return lambda rng: np.where(rng.random((EDITS, 1)) < share, some(rng), others(rng))


def _all_three(some: list[Stream], others: Stream) -> Stream:
    def drawn(rng: np.random.Generator) -> np.ndarray:
        which = rng.integers(5, size=(EDITS, 1))
        return np.select([which == place for place in range(3)], [stream(rng) for stream in some], others(rng))

    return drawn


def _late(some: Stream, others: Stream) -> Stream:
    return lambda rng: np.where(np.arange(EDITS)[:, None] < 4000, others(rng), some(rng))


def _noticed(
    stream: Stream, reference: Reference, count: int, *, since: int = 0, each: int = 1, **shown: int
) -> dict[str, float]:
    """How many streams give an alarm, how many soon, and the median of after how many edits, from `since` on.

    Args:
        each: so many edits that follow each other are of one sentence.
        shown: how they are shown to the monitor (`_edits_until`).
    """
    changes = [(str(row // each), str(row)) for row in range(EDITS)]
    ends = [_edits_until(changes, stream(np.random.default_rng(seed)), reference, **shown) for seed in range(count)]
    after = np.array(ends) - since
    found = {"alarms": float(np.isfinite(after).mean()), "within_500": float(((after > 0) & (after <= SOON)).mean())}
    return found | ({"median_edits": float(np.median(after))} if np.isfinite(np.median(after)) else {})


def _edits_until(
    changes: Sequence[Change], values: np.ndarray, reference: Reference, *, batch: int = BATCH, once: bool = False
) -> float:
    monitor = Monitor(reference, once=once)
    for first in range(0, len(values), batch):
        monitor.watch(changes[first : first + batch], values[first : first + batch])
        if monitor.drift:
            return first + batch
    return np.inf


if __name__ == "__main__":
    main()
