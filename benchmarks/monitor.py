"""Does the monitor keep its level, and how soon does it notice?

`python -m benchmarks.monitor` needs `make repro` first; writes benchmarks/monitor.json. Streams are drawn from the test
pairs of the sample, and shown to a monitor with validation's reference, 50 edits at a time.
"""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.ablation import ENCODED, PAIRS
from fluency.edits.forms import Change
from fluency.evaluation.calibration import Calibration
from fluency.evaluation.monitor import Monitor, features
from fluency.evaluation.support import measures
from fluency.model.encoded_pairs import EncodedPairs
from fluency.scorer.scorer import FluencyScorer
from fluency.utils.files import read_parquet, write_json

RESULT = Path(__file__).with_suffix(".json")
MODEL = Path("models/fluency")
STREAMS, EDITS, BATCH = 1000, 5000, 50
SOON, OTHERS = 500, 300  # edits within which a change is to be noticed; unrelated rewrites to score
BASE_RATES = (0.2, 0.3, 0.4, 0.6, 0.8, 0.95)

Stream = Callable[[np.random.Generator], np.ndarray]  # features of edits, of shape [edits, features]


def main() -> None:
    scorer = FluencyScorer.load(MODEL)
    rows = read_parquet(PAIRS / "test.parquet")
    labels, groups = np.array([row["label"] for row in rows]), np.array([row["group"] for row in rows])
    scores = scorer.calibration.scores(scorer.classifier.logits(EncodedPairs(ENCODED / "test")))
    pool = features([measures((row["before"], row["after"])) for row in rows], scores)
    unrelated = _unrelated([row["before"] for row in rows], scorer)
    changed = {
        "short sentences, 2 to 4 words": _of(pool[pool[:, 0] <= 4]),
        "unrelated rewrites": _of(unrelated),
        "one copied edit": lambda rng: np.repeat(pool[rng.integers(len(pool), size=1)], EDITS, axis=0),
    }
    fluent, harmful = _of(pool[labels == 1]), _of(pool[labels == 0])
    reference = scorer.calibration.reference

    def shares(streams: dict[str, Stream], count: int = STREAMS) -> dict[str, dict[str, float]]:
        return {name: _noticed(stream, scorer.calibration, count) for name, stream in streams.items()}

    start = perf_counter()
    Monitor(reference).update(np.tile(pool, (100, 1)))
    result = {
        "streams": STREAMS,
        "edits": EDITS,
        "microseconds_an_edit": round(1e6 * (perf_counter() - start) / (100 * len(pool)), 2),
        "false_alarms": shares({"pairs": _of(pool), "whole groups": _grouped(pool, groups)}),
        "changed": shares(changed),
        "a fifth changed": shares({name: _mixed(its, _of(pool), 0.2) for name, its in changed.items()}),
        "changed after 4,000": {
            name: _noticed(_late(its, _of(pool)), scorer.calibration, STREAMS, since=4000)
            for name, its in changed.items()
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


def _mixed(some: Stream, others: Stream, share: float) -> Stream:
    return lambda rng: np.where(rng.random((EDITS, 1)) < share, some(rng), others(rng))


def _all_three(some: list[Stream], others: Stream) -> Stream:
    def drawn(rng: np.random.Generator) -> np.ndarray:
        which = rng.integers(5, size=(EDITS, 1))
        return np.select([which == place for place in range(3)], [stream(rng) for stream in some], others(rng))

    return drawn


def _late(some: Stream, others: Stream) -> Stream:
    return lambda rng: np.where(np.arange(EDITS)[:, None] < 4000, others(rng), some(rng))


def _noticed(stream: Stream, calibration: Calibration, count: int, since: int = 0) -> dict[str, float]:
    """How many streams give an alarm, how many soon, and the median of after how many edits, from `since` on."""
    after = np.array([_edits_until(stream(np.random.default_rng(seed)), calibration) for seed in range(count)]) - since
    found = {"alarms": float(np.isfinite(after).mean()), "within_500": float(((after > 0) & (after <= SOON)).mean())}
    return found | ({"median_edits": float(np.median(after))} if np.isfinite(np.median(after)) else {})


def _edits_until(values: np.ndarray, calibration: Calibration) -> float:
    monitor = Monitor(calibration.reference)
    for first in range(0, len(values), BATCH):
        monitor.update(values[first : first + BATCH])
        if monitor.drift:
            return monitor.edits
    return np.inf


if __name__ == "__main__":
    main()
