"""What it flatters that validation chooses the checkpoint, the calibration and the threshold at once.

`python -m benchmarks.choosing` needs `make repro` first; writes benchmarks/choosing.json. The default model is trained
again with some seeds, and after each epoch scores the validation and the test pairs. Both together are then split by
group, again and again, in the proportion of validation and test: on one side all is chosen, the other says what it is
worth there.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset
from transformers import EvalPrediction

from benchmarks.ablation import BASE, ENCODED, PAIRS
from fluency.evaluation.calibration import fit_platt
from fluency.evaluation.operating_point import choose
from fluency.evaluation.params import DecisionParams
from fluency.metrics import average_precision, negative_log_likelihood, point_metrics, probabilities
from fluency.model.encoded_pairs import EncodedPairs
from fluency.params import load_params
from fluency.training.callbacks import CurveCallback
from fluency.training.inputs import Inputs
from fluency.training.plan import devices_at_hand, plan_for
from fluency.training.trainer import trainer_of
from fluency.utils.files import read_parquet, write_json

RESULT = Path(__file__).with_suffix(".json")
SEEDS, SPLITS = (42, 43, 44), 200  # splits for each seed
RULES = {
    "the default's": load_params().decision,
    "precision 95%, certified": DecisionParams(None, 0.95, None, 0.95),
}


def main() -> None:
    rows = [row for split in ("validation", "test") for row in read_parquet(PAIRS / f"{split}.parquet")]
    labels = np.array([row["label"] for row in rows])
    groups = np.unique([row["group"] for row in rows], return_inverse=True)[1]
    share = len(read_parquet(PAIRS / "validation.parquet")) / len(rows)
    ways = {name: [] for name in ("all by the same pairs", "checkpoint by one half, the rest by the other", "last")}
    for seed in SEEDS:
        epochs = logits_by_epoch(seed)
        for number in range(SPLITS):
            inside = np.random.default_rng([seed, number]).permutation(groups.max() + 1) / (groups.max() + 1)
            place = inside[groups]
            chosen, test, half = place < share, place >= share, place < share / 2
            for way, selects, rest in zip(ways, (chosen, half, None), (chosen, chosen & ~half, chosen), strict=True):
                logits = epochs[-1 if selects is None else _best(epochs, labels, selects)]
                ways[way].append(_figures(logits, labels, groups, rest, test))
    found = {way: _summary(its) for way, its in ways.items()}
    write_json(RESULT, {"seeds": len(SEEDS), "splits": SPLITS, "ways": found})
    print(RESULT.read_text(encoding="utf-8"), end="")


def logits_by_epoch(seed: int) -> np.ndarray:
    """The logits of validation's and test's pairs after each epoch of a training, of shape [epochs, pairs, 2]."""
    params = load_params()
    inputs = Inputs(ENCODED, BASE, params.encode, params.edit_head)
    recipe = replace(inputs.recipe(params.train), num_processes=1, seed=seed)
    kept: list[np.ndarray] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        curves = CurveCallback(folder, folder / "figures.json")
        trainer, _ = trainer_of(recipe, plan_for(recipe, devices_at_hand(None)), inputs, curves, folder / "checkpoints")
        trainer.eval_dataset = ConcatDataset([EncodedPairs(ENCODED / split) for split in ("validation", "test")])
        figures = trainer.compute_metrics

        def keep(prediction: EvalPrediction) -> dict[str, float]:
            kept.append(np.array(prediction.predictions))
            return figures(prediction)

        trainer.compute_metrics = keep
        trainer.train()
    return np.stack(kept)


def _best(epochs: np.ndarray, labels: np.ndarray, inside: np.ndarray) -> int:
    return int(np.argmax([average_precision(probabilities(its[inside]), labels[inside]) for its in epochs]))


def _figures(
    logits: np.ndarray, labels: np.ndarray, groups: np.ndarray, inside: np.ndarray, test: np.ndarray
) -> dict[str, tuple[float, float]]:
    """Of each figure, what the pairs say that all was chosen on, and what the others say."""
    slope, intercept = fit_platt(logits[inside], labels[inside])
    scores = probabilities(logits, slope, intercept)
    sides = [(scores[side], labels[side]) for side in (inside, test)]
    found: dict[str, Any] = {
        "average_precision": [average_precision(*side) for side in sides],
        "log_loss": [negative_log_likelihood(*side) for side in sides],
    }
    for name, rule in RULES.items():
        point = choose(scores[inside], labels[inside], groups[inside], rule)
        at = [point_metrics(its >= point.threshold, truth) for its, truth in sides]
        if point.certificate.target is None or point.certificate.holds:
            found |= {f"{name}: {figure}": [its[figure] for its in at] for figure in ("precision", "recall")}
    return {name: (float(first), float(second)) for name, (first, second) in found.items()}


def _summary(draws: list[Mapping[str, tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """Of each figure, the mean where all was chosen and elsewhere, and by how much the first is flattered."""
    found = {}
    for name in dict.fromkeys(name for its in draws for name in its):
        chosen, other = np.array([its[name] for its in draws if name in its]).T
        found[name] = {
            "where chosen": round(float(chosen.mean()), 4),
            "elsewhere": round(float(other.mean()), 4),
            "flattered": round(float((chosen - other).mean()), 4),
        }
        if "certified: precision" in name:
            found[name] |= {"draws": len(chosen), "missed": round(float((other < 0.95).mean()), 3)}
    return found


if __name__ == "__main__":
    main()
