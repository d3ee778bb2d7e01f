"""What training minimises, and the figures by which it chooses a checkpoint."""

from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import EvalPrediction

from fluency.metrics import average_precision, negative_log_likelihood, point_metrics, probabilities


def mean_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: int | None = None) -> torch.Tensor:
    """Cross-entropy over the whole global batch.

    Summed here and divided by the rows of all processes and accumulation steps, so that neither their number nor an
    uneven share changes the gradient. (The model's own loss is a mean that Trainer takes for a sum.)

    Args:
        outputs: with `logits`, of shape [pairs, 2].
        labels: of shape [pairs].
        num_items_in_batch: the rows of the global batch; None: these alone.
    """
    loss = cross_entropy(outputs["logits"].float(), labels, reduction="sum")
    return loss / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def selection_metrics(prediction: EvalPrediction, *, metric: str, min_recall: float) -> dict[str, float]:
    """The reference's metrics and `selection`, by which the best checkpoint is chosen.

    `selection` is the wanted metric where recall reaches the floor; below, it is negative and grows with recall, so
    that a lucky single positive never wins.
    """
    logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    scores = probabilities(logits)
    figures = point_metrics(scores > 0.5, labels) | {
        "average_precision": average_precision(scores, labels),
        "cross_entropy": negative_log_likelihood(scores, labels),
    }
    enough = figures["recall"] >= min_recall
    return figures | {"selection": figures[metric] if enough else figures["recall"] - 1}
