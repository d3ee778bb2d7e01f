"""What the changed words alone give away: logistic regression over edit features (scikit-learn)."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from fluency.baselines.params import BaselineParams
from fluency.edits.edit import tokenize


def features(pair: Mapping[str, Any]) -> dict[str, float]:
    """Words and n-grams of the edit: removed and inserted words, their character trigrams, and the words around."""
    found: dict[str, float] = {f"type={pair['edit_type']}": 1.0}
    for side in ("removed", "inserted"):
        words = _words(pair[side])
        found |= {f"{side}={word}": 1.0 for word in words}
        found |= {f"{side}2={one} {two}": 1.0 for one, two in pairwise(words)}
        padded = f" {' '.join(words)} "
        found |= {f"{side}c={padded[i : i + 3]}": 1.0 for i in range(len(padded) - 2)}
    left = _words(pair["before"][: pair["edit_start"]])[-2:]
    right = _words(pair["before"][pair["edit_end"] :])[:2]
    change = f"{pair['removed']}>{pair['inserted']}".lower()
    found[f"change={change}"] = 1.0
    for name, word in (("left", left[-1:]), ("right", right[:1])):
        found[f"{name}={''.join(word)}"] = 1.0
        found[f"{name}+change={''.join(word)}|{change}"] = 1.0
    found[f"around={' '.join(left)}|{' '.join(right)}"] = 1.0
    found["longer"] = (len(pair["inserted"]) - len(pair["removed"])) / 10
    return found


def fit(pairs: Sequence[Mapping[str, Any]], params: BaselineParams) -> Pipeline:
    """Fit on pairs with labels."""
    model = make_pipeline(
        DictVectorizer(),
        LogisticRegression(C=params.C, max_iter=params.max_iter),
    )
    return model.fit([features(pair) for pair in pairs], [pair["label"] for pair in pairs])


def score(model: Pipeline, pairs: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The probability of label 1, of shape [pairs]."""
    return model.predict_proba([features(pair) for pair in pairs])[:, 1]


def _words(text: str) -> list[str]:
    return [token.lower() for token in tokenize(text) if not token.isspace()]
