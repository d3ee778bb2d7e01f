"""What must hold whatever the corpus: an edit that harms is worse than its reverse, and no edit harms nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fluency.edits.forms import Change
from fluency.evaluation.scored_pairs import Pairs


def checked_changes(pairs: Pairs) -> list[Change]:
    """The changes to score besides the pairs: harming edits and their reverses, fluent sentences left alone."""
    harming = _harming(pairs)
    return [*harming, *(change[::-1] for change in harming), *_identities(pairs)]


def checks(pairs: Pairs, scores: Mapping[Change, float], threshold: float) -> dict[str, Any]:
    """How often each check holds, as shares from 0 to 1.

    Args:
        scores: of the changes that `checked_changes` names.

    Returns:
        `direction`: of the edits with label 0 whose reverse isn't one, the share that score below their reverse
        (`ordered`) and the share refused while the reverse is accepted, at a score of one half (`opposite`) and at the
        operating point. `identity`: of the fluent sentences left as they are, the share accepted at both.
    """
    harming, identities = _harming(pairs), _identities(pairs)
    harm = np.array([scores[change] for change in harming])
    repair = np.array([scores[change[::-1]] for change in harming])
    same = np.array([scores[change] for change in identities])
    return {
        "direction": {
            "edits": len(harming),
            "ordered": _share(harm < repair),
            "opposite": _share((harm <= 0.5) & (repair > 0.5)),
            "opposite_at_operating_point": _share((harm < threshold) & (repair >= threshold)),
        },
        "identity": {
            "sentences": len(identities),
            "accepted": _share(same > 0.5),
            "accepted_at_operating_point": _share(same >= threshold),
        },
    }


def _harming(pairs: Pairs) -> list[Change]:
    harming = dict.fromkeys((pair["before"], pair["after"]) for pair in pairs if pair["label"] == 0)
    return [change for change in harming if change[::-1] not in harming]


def _identities(pairs: Pairs) -> list[Change]:
    return [(sentence, sentence) for sentence in dict.fromkeys(pair["after"] for pair in pairs if pair["label"] == 1)]


def _share(holds: np.ndarray) -> float:
    return float(holds.mean()) if len(holds) else 0.0
