"""Do the guarantees hold? Draws from a population whose truth is known, with independent pairs and with alike ones.

Run as `python -m benchmarks.guarantees`; writes benchmarks/guarantees.json. A `correlation` of 0.4 means that within a
group each pair but the first is a copy of the first with a probability of 0.4: same label, same score.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom, binomtest, norm

from fluency.evaluation.certificate import certified, certified_curve
from fluency.evaluation.comparison import compare, sign_test
from fluency.evaluation.operating_point import choose, most_recall
from fluency.evaluation.params import DecisionParams, EvaluateParams
from fluency.evaluation.proportions import mid_p_interval
from fluency.evaluation.scored_pairs import ScoredPairs, figures
from fluency.metrics import points
from fluency.utils.files import write_json

RESULT = Path(__file__).with_suffix(".json")
SIZES = np.repeat([1, 2, 3, 4, 5, 6], [34, 442, 57, 2, 13, 4])  # pairs a group has, as in the sample's validation
CORRELATIONS = (0.0, 0.4, 1.0)
JUDGES = {"weak": 1.1, "strong": 2.0}  # skill: precision at recall 0.8 is 0.90, or 0.998
TARGETS = {"weak": (0.9, 0.95), "strong": (0.95, 0.99)}
VALIDATION, TEST, FEW = 552, 300, 40  # groups; the sample has more test groups, which makes all of it easier
DRAWS, DRAWS_OF_INTERVALS, RESAMPLES = 300, 1000, 200
PAIRS_OF_JUDGES = {"equal judges": (1.4, 1.4), "unequal judges": (1.4, 2.0)}  # their skills
MISTAKES = (1, 2, 3, 5, 10, 20)  # expected of `TRIALS` independent pairs
TRIALS = 300

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]


class Population:
    """Pairs, half of them fluent, whose log-odds by a calibrated judge are normal around plus and minus 2 skill^2."""

    def __init__(self, skill: float) -> None:
        self.skill = skill

    def draw(self, groups: int, correlation: float, seed: int) -> Drawn:
        """Scores, labels and groups, each of shape [pairs]."""
        rng = np.random.default_rng(seed)
        sizes = rng.choice(SIZES, groups)
        group = np.repeat(np.arange(groups), sizes)
        label = rng.integers(0, 2, len(group))
        margin = (2 * label - 1) * self.skill + rng.normal(size=len(group))
        first = np.repeat(np.cumsum(sizes) - sizes, sizes)
        copied = rng.random(len(group)) < correlation
        label, margin = (np.where(copied, its[first], its) for its in (label, margin))
        return 1 / (1 + np.exp(-2 * self.skill * margin)), label, group

    def precision(self, threshold: np.ndarray) -> np.ndarray:
        """The true precision of thresholds."""
        fluent, harm = self._accepted(threshold)
        return fluent / (fluent + harm)

    def recall(self, threshold: np.ndarray) -> np.ndarray:
        """The true recall of thresholds."""
        return self._accepted(threshold)[0]

    def _accepted(self, threshold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(divide="ignore"):
            margin = np.log(threshold / (1 - threshold)) / (2 * self.skill)
        return norm.sf(margin - self.skill), norm.sf(margin + self.skill)


def main() -> None:
    result: dict[str, Any] = {"draws": DRAWS, "draws_of_intervals": DRAWS_OF_INTERVALS}
    for part in (certificates, sign_tests, differences, intervals, intervals_of_slices, intervals_of_shares):
        result[part.__name__] = part()
        write_json(RESULT, result)  # the next part takes minutes
    print(RESULT.read_text(encoding="utf-8"), end="")


def certificates() -> dict[str, Any]:
    """By judge and correlation, the share of draws that miss what they certify, and the recall that is left."""
    return {
        f"{judge}, {_alike(correlation)}": _certificates(Population(skill), correlation, TARGETS[judge])
        for judge, skill in JUDGES.items()
        for correlation in CORRELATIONS
    }


def _certificates(population: Population, correlation: float, targets: tuple[float, ...]) -> dict[str, Any]:
    missed, recall, bounds = Counter(), Counter(), Counter()
    for seed in range(DRAWS):
        drawn = population.draw(VALIDATION, correlation, seed)
        scores, labels, groups = drawn
        alone = np.unique(groups[(order := np.random.default_rng(seed).permutation(len(groups)))], return_index=True)[1]
        curves = {
            "effective sizes": certified_curve(*drawn, confidence=0.95),
            "one pair of each group": certified_curve(*(its[order][alone] for its in drawn), confidence=0.95),
            "pairs as if independent": certified_curve(scores, labels, np.arange(len(groups)), confidence=0.95),
        }
        for target in targets:
            for method, curve in curves.items():
                rows = certified(curve, target, 0.95)
                _count(
                    population,
                    f"{method}, {target:.0%}",
                    curve["threshold"][rows[-1]] if rows else None,
                    target,
                    missed,
                    recall,
                )
            _count(population, f"bound by blocks, {target:.0%}", _by_blocks(drawn, target), target, missed, recall)
        curve = curves["effective sizes"]
        truth = population.precision(np.array(curve["threshold"]))
        bounds["precision at least"] += bool((np.array(curve["lower"]) > truth).any())
        point = choose(*drawn, DecisionParams(0.8, None, None, 0.95))
        bounds["recall of 80%"] += bool(point.certificate.holds and population.recall(np.array(point.threshold)) < 0.8)
        found = np.array(curve["threshold"][most_recall(curve, targets[0], "")])
        bounds[f"as found without a confidence, {targets[0]:.0%}"] += bool(population.precision(found) < targets[0])
    return {
        "missed": _shares({**missed, **bounds}, DRAWS),
        "mean_recall": _shares(recall, DRAWS),
    }


def _count(
    population: Population, name: str, threshold: float | None, target: float, missed: Counter, recall: Counter
) -> None:
    """What is not certified is not missed, and has no recall."""
    at = None if threshold is None else np.array(threshold)
    missed[name] += 0 if at is None else int(population.precision(at) < target)
    recall[name] += 0 if at is None else float(population.recall(at))


def _by_blocks(drawn: Drawn, target: float) -> float | None:
    """Hoeffding's bound on the mean of what groups are above the target by, which takes no model of the groups."""
    scores, labels, groups = drawn
    found, width = None, np.bincount(groups).max()
    for threshold in np.sort(scores)[::-1][100::10]:
        accepted = scores >= threshold
        above = np.bincount(groups[accepted], weights=labels[accepted] - target)
        count = len(np.unique(groups[accepted]))
        if above.sum() / count < width * np.sqrt(np.log(20) / (2 * count)):
            break
        found = float(threshold)
    return found


def sign_tests() -> dict[str, Any]:
    """How often two judges of equal skill are found different at 5 %: by group, and by pair (McNemar)."""
    found: dict[str, Any] = {}
    for correlation in CORRELATIONS:
        wrong = Counter()
        for seed in range(DRAWS_OF_INTERVALS):
            a, b = _judges(PAIRS_OF_JUDGES["equal judges"], TEST, correlation, seed)
            wrong["by group"] += sign_test(a, a.accepted, b.accepted)["p"] <= 0.05
            only_a, only_b = (
                int(np.sum((x.accepted == x.labels) & (y.accepted != y.labels))) for x, y in ((a, b), (b, a))
            )
            wrong["by pair"] += binomtest(only_a, only_a + only_b).pvalue <= 0.05
        found[_alike(correlation)] = _shares(wrong, DRAWS_OF_INTERVALS)
    return found


def differences() -> dict[str, Any]:
    """The share of draws whose 95 % interval holds the true difference of two judges, by figure; where no interval is
    shown, the share of draws in which equal judges are found equal."""
    found: dict[str, Any] = {}
    for name, skills in PAIRS_OF_JUDGES.items():
        a, b = (its.points() for its in _judges(skills, 150_000, 0.0, 1))
        truth = {figure: b[figure] - a[figure] if name.startswith("un") else 0.0 for figure in a}
        for correlation in CORRELATIONS:
            held = Counter()
            for seed in range(DRAWS_OF_INTERVALS):
                comparison = compare(*_judges(skills, TEST, correlation, seed), EvaluateParams(RESAMPLES, 1))
                for row in comparison.figures:
                    if row["low"] is not None:
                        held[_key(row["figure"])] += row["low"] <= truth[row["figure"]] <= row["high"]
                    elif name == "equal judges":
                        held[_key(row["figure"])] += not row["clear"]
            found[f"{name}, {_alike(correlation)}"] = _shares(held, DRAWS_OF_INTERVALS)
    return found


def _judges(skills: tuple[float, float], count: int, correlation: float, seed: int) -> tuple[ScoredPairs, ScoredPairs]:
    """Two judges of the same groups, each with errors of its own; within a group, what one is wrong of is alike."""
    rng = np.random.default_rng(seed)
    sizes = rng.choice(SIZES, count)
    groups, first = np.repeat(np.arange(count), sizes), np.repeat(np.cumsum(sizes) - sizes, sizes)
    labels, copied = rng.integers(0, 2, len(groups)), rng.random(len(groups)) < correlation
    labels = np.where(copied, labels[first], labels)
    pairs = [_pair(*its) for its in zip(labels.tolist(), groups.tolist(), strict=True)]
    judges = []
    for skill in skills:
        margin = (2 * labels - 1) * skill + rng.normal(size=len(groups))
        margin = np.where(copied, margin[first], margin)
        judges.append(ScoredPairs(pairs, 1 / (1 + np.exp(-2 * skill * margin)), 0.8))
    return judges[0], judges[1]


def intervals() -> dict[str, Any]:
    """By judge and correlation, the share of draws whose 95 % interval holds the true figure."""
    found: dict[str, Any] = {}
    for judge, skill in JUDGES.items():
        scores, labels, _ = Population(skill).draw(300_000, 0.0, 1)
        truth = points(scores, labels, scores >= 0.9)
        for correlation in CORRELATIONS:
            held = Counter()
            for seed in range(DRAWS_OF_INTERVALS):
                for name, low, high in _bounds(Population(skill).draw(TEST, correlation, seed)):
                    held[name] += low <= truth[name.replace(" ", ".")] <= high
            found[f"{judge}, {_alike(correlation)}"] = _shares(held, DRAWS_OF_INTERVALS)
    return found


def intervals_of_slices() -> dict[str, Any]:
    """As `intervals`, for the weak judge's precision and recall at one half of few groups, as a slice has them."""
    population, found = Population(JUDGES["weak"]), {}
    truth = {name: getattr(population, name)(np.array(0.5)) for name in ("precision", "recall")}
    for correlation in CORRELATIONS:
        held = Counter()
        for seed in range(DRAWS_OF_INTERVALS):
            scored = _scored(population.draw(FEW, correlation, seed), 0.5)
            for name, (low, high) in scored.share_intervals().items():
                held[name] += low <= truth[name] <= high
        found[_alike(correlation)] = _shares(held, DRAWS_OF_INTERVALS)
    return found


def intervals_of_shares() -> dict[str, float]:
    """How often a share's interval holds it, by the mistakes expected of independent pairs; computed, not drawn."""
    counts = np.arange(TRIALS + 1)
    ones = np.ones(TRIALS, dtype=int)
    low, high = np.array([mid_p_interval((np.arange(TRIALS) < count).astype(int), ones) for count in counts]).T

    def held(truth: float) -> float:
        return float(binom.pmf(counts, TRIALS, truth)[(low <= truth) & (truth <= high)].sum())

    each = {f"{mistakes} expected": held(mistakes / TRIALS) for mistakes in MISTAKES}
    many = [held(mistakes / TRIALS) for mistakes in np.linspace(3, 30, 271)]
    each |= {"3 to 30 expected, least": min(many), "3 to 30 expected, most": max(many)}
    return {name: round(its, 3) for name, its in each.items()}


def _bounds(drawn: Drawn) -> list[tuple[str, float, float]]:
    result = figures(_scored(drawn, 0.9), EvaluateParams(RESAMPLES, 1))
    trees = {"": result, "operating_point ": result["operating_point"]}
    return [
        (f"{prefix}{name}", tree[f"{name}_low"], tree[f"{name}_high"])
        for prefix, tree in trees.items()
        for name in tree
        if f"{name}_low" in tree
    ]


def _key(figure: str) -> str:
    """The name of a figure without a dot, so that pages can name it."""
    first, _, last = figure.partition(".")
    return f"{first} {float(last):.0%}" if last[:1].isdigit() else figure.replace(".", " ")


def _scored(drawn: Drawn, threshold: float) -> ScoredPairs:
    scores, labels, groups = drawn
    return ScoredPairs([_pair(*its) for its in zip(labels.tolist(), groups.tolist(), strict=True)], scores, threshold)


def _alike(correlation: float) -> str:
    return f"correlation {round(10 * correlation)} tenths"


def _pair(label: int, group: int) -> dict[str, Any]:
    return {"label": label, "group": group, "part": "made", "id": ""}


def _shares(counts: Mapping[str, float], draws: int) -> dict[str, float]:
    return {name: round(count / draws, 3) for name, count in counts.items()}


if __name__ == "__main__":
    main()
