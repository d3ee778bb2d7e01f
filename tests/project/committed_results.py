"""Whether a rerun's figures are as good as those committed: `python -m tests.project.committed_results OLD NEW`.

OLD and NEW are folders with test.json, challenge.json and attack.json. A figure may be worse by its tolerance: about
three standard errors that it has over test pairs (three quarters of its interval's width), and more than another seed
or processor moves it (`python -m benchmarks.spread`). What is worse by more is a loss of the code's; better is never
wrong.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

AVERAGE_PRECISION, AT_RECALL, OPERATING_POINT = 0.004, 0.01, 0.03
PARTS = 0.015  # the average precision of each
CHALLENGE = {"absurd": 0.015, "mistake": 0.02, "repair": 0.03, "keeping": 0.06}  # the share that is decided wrongly

ATTACK = 0.02  # the share of each kind of nonsense that is accepted

Compared = tuple[str, float, float]  # a figure's name, its value (higher is better), and its tolerance


def compared(folder: Path) -> Iterator[Compared]:
    """The figures of a metrics folder that are to hold."""
    test, challenge, attack = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("test", "challenge", "attack")
    )
    yield "average precision", test["average_precision"], AVERAGE_PRECISION
    for recall in ("0.7", "0.8", "0.9"):
        yield f"precision at recall {recall}", test["precision_at_recall"][recall], AT_RECALL
    yield "precision at the operating point", test["operating_point"]["precision"], AT_RECALL
    yield "recall at the operating point", test["operating_point"]["recall"], OPERATING_POINT
    for part, its in test["parts"].items():
        if 0 < its["positives"] < its["examples"]:  # of one label, it says nothing
            yield f"average precision of {part}", its["average_precision"], PARTS
    for role, its in challenge.items():
        yield f"challenge set, {role}: decided rightly", 1 - its["rate"], CHALLENGE[role]
    for kind, its in attack.items():
        yield f"nonsense refused, {kind}", 1 - its["rate"], ATTACK


def losses(old: Path, new: Path) -> list[str]:
    """What is worse in `new` than in `old` by more than its tolerance; what is gone counts as worse."""
    found = {name: value for name, value, _ in compared(new)}
    worse = []
    for name, committed, tolerance in compared(old):
        value = found.get(name, 0.0)
        print(f"{name}: committed {committed:.3f}, found {value:.3f}, may lose {tolerance}")
        if committed - value > tolerance:
            worse.append(name)
    return worse


if __name__ == "__main__" and (worse := losses(*map(Path, sys.argv[1:]))):
    sys.exit(
        f"error: worse than the committed results: {', '.join(worse)}; mend the code, or say why, dvc repro, commit"
    )
