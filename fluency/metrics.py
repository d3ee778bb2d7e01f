"""Precision first: point metrics and curves of scores against labels. NumPy and scikit-learn, no torch.

scikit-learn is imported where it is called: it takes half a second, and the scorer needs none of it.

Shapes: `scores` and `labels` are of shape [n]; a score is the probability of label 1, a label is 0 or 1.
Every value returned is finite: a ratio with nothing below its line is 0.
"""

import math

import numpy as np

LABELS = ("non-fluent", "fluent")  # the names of labels 0 and 1
RECALLS = (0.5, 0.7, 0.8, 0.9)


def probabilities(logits: np.ndarray, slope: float = 1.0, intercept: float = 0.0) -> np.ndarray:
    """The probability of label 1, of shape [n]: its log-odds are `slope` times the difference of the logits [n, 2],
    and `intercept`."""
    log_odds = slope * np.subtract(logits[:, 1], logits[:, 0], dtype=np.float64) + intercept
    return 0.5 * (1 + np.tanh(log_odds / 2))  # the logistic function, without overflow


def point_metrics(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of label 1, and accuracy. When nothing is predicted 1, precision is 0."""
    hits = int(np.sum((predicted == 1) & (labels == 1)))
    precision = _ratio(hits, int(np.sum(predicted == 1)))
    recall = _ratio(hits, int(np.sum(labels == 1)))
    return {
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * precision * recall, precision + recall),
        "accuracy": _ratio(int(np.sum(predicted == labels)), len(labels)),
    }


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Average precision of label 1 (scikit-learn's definition, without interpolation); 0 without positives."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, scores)) if labels.any() else 0.0


def roc_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve; 0.5, which is chance, where only one label occurs."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores)) if 0 < labels.sum() < len(labels) else 0.5


def brier(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared difference between score and label (Brier 1950)."""
    return float(np.mean((scores - labels) ** 2))


def negative_log_likelihood(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy in nats."""
    from sklearn.metrics import log_loss

    return float(log_loss(labels, scores, labels=[0, 1]))


def reliability(scores: np.ndarray, labels: np.ndarray, bins: int = 10) -> list[dict[str, float]]:
    """For each equal-width bin of scores that isn't empty: mean score, share of label 1, and count."""
    index = np.minimum((scores * bins).astype(int), bins - 1)
    rows = []
    for bin_ in np.unique(index):
        inside = index == bin_
        rows.append(
            {
                "score": float(scores[inside].mean()),
                "fluent": float(labels[inside].mean()),
                "pairs": int(inside.sum()),
            }
        )
    return rows


def expected_calibration_error(scores: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """Mean distance of score and share of label 1 over equal-width bins, weighted by count (Naeini et al. 2015)."""
    rows = reliability(scores, labels, bins)
    # fsum rounds once, where sum rounds as the version of Python has it
    return math.fsum(row["pairs"] * abs(row["score"] - row["fluent"]) for row in rows) / len(labels)


def precision_at_recall(scores: np.ndarray, labels: np.ndarray, min_recall: float) -> float:
    """The best precision that some threshold has at a recall of at least `min_recall`; 0 without positives.

    Pairs that score at or above a threshold count as 1.
    """
    from sklearn.metrics import precision_recall_curve

    if not labels.any():
        return 0.0
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float(precision[:-1][recall[:-1] >= min_recall].max())  # the last point predicts nothing


def points(scores: np.ndarray, labels: np.ndarray, accepted: np.ndarray) -> dict[str, float]:
    """Every figure of one set of scores, by the names of metrics/test.json, levels joined by a dot.

    Precision, recall, F1 and accuracy are those at one half (scores above 0.5; of logits, that is argmax) and, after
    `operating_point.`, those of `accepted`, the decisions, of shape [n].
    """
    return {
        **point_metrics(scores > 0.5, labels),
        "average_precision": average_precision(scores, labels),
        "roc_auc": roc_auc(scores, labels),
        "brier": brier(scores, labels),
        "log_loss": negative_log_likelihood(scores, labels),
        "ece": expected_calibration_error(scores, labels),
        **{f"operating_point.{name}": value for name, value in point_metrics(accepted, labels).items()},
        **{f"precision_at_recall.{recall}": precision_at_recall(scores, labels, recall) for recall in RECALLS},
    }


def _ratio(above: float, below: float) -> float:
    return above / below if below else 0.0
