"""How many edits of the challenge set are decided wrongly at the operating point, with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fluency.corpus.challenge import LENGTHS, ROLES, Challenge
from fluency.evaluation.proportions import rate


def challenge_figures(edits: Sequence[Challenge], accepted: np.ndarray) -> dict[str, Any]:
    """How many edits of each kind are decided wrongly at the operating point.

    Args:
        accepted: whether each edit is, of shape [edits].

    Returns:
        For each of `ROLES` the number of `edits`, of those `wrong`, the share `rate` and its 95 % interval
        `rate_low`, `rate_high` (`proportions.mid_p_interval`), and the same by `lengths` and `kinds`.
    """
    wrong = accepted != np.array([edit.label for edit in edits], dtype=bool)
    found: dict[str, Any] = {}
    for role in ROLES:
        rows = [row for row, edit in enumerate(edits) if edit.role == role]
        found[role] = _share(wrong[rows])
        kinds = sorted({edits[row].kind for row in rows})
        for name, attribute, groups in (("lengths", "length", LENGTHS), ("kinds", "kind", kinds)):
            members = {group: [row for row in rows if getattr(edits[row], attribute) == group] for group in groups}
            found[role][name] = {group: _share(wrong[its]) for group, its in members.items() if its}
    return found


def _share(wrong: np.ndarray) -> dict[str, Any]:
    return {"edits": len(wrong), "wrong": int(wrong.sum()), **rate(wrong)}
