"""Whether a rerun's figures are as good as those committed: `python -m tests.project.committed_results OLD NEW`.

OLD and NEW are folders with test.json, challenge.json and attack.json. A rerun may lose what another seed or processor
would: four standard deviations of the default's figures over seeds (benchmarks/spread.json), and two decisions, or as
much of an average precision. What is worse by more is a loss of the code's; better is never wrong.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

DEVIATIONS, DECISIONS = 4, 2
OF_ALL, OF_A_PART = 0.0005, 0.003  # what two pairs in another order may cost an average precision

SPREAD = Path("benchmarks/spread.json")

Compared = tuple[str, float, float]  # a figure's name, its value (higher is better), and its tolerance


def compared(folder: Path) -> Iterator[Compared]:
    """The figures of a metrics folder that are to hold."""
    test, challenge, attack = (_read(folder / f"{name}.json") for name in ("test", "challenge", "attack"))
    seeds: Mapping[str, float] = _read(SPREAD)["deviation_of_seeds"]

    def tolerance(figure: str, least: float) -> float:
        return DEVIATIONS * seeds[figure] + least

    fluent, point = test["positives"], test["operating_point"]
    accepted = DECISIONS / (fluent * point["recall"] / point["precision"])
    yield "average precision", test["average_precision"], tolerance("average_precision", OF_ALL)
    for recall in ("0.7", "0.8", "0.9"):
        at = f"precision_at_recall.{recall}"
        least = DECISIONS / (fluent * float(recall))
        yield f"precision at recall {recall}", test["precision_at_recall"][recall], tolerance(at, least)
    yield "precision at the operating point", point["precision"], tolerance("precision", accepted)
    yield "recall at the operating point", point["recall"], tolerance("recall", DECISIONS / fluent)
    for part, its in test["parts"].items():
        least = DECISIONS / its["examples"]
        if its["positives"] == 0:
            yield f"refused of {part}", its["operating_point"]["accuracy"], tolerance("challenge_wrong.absurd", least)
        elif its["positives"] == its["examples"]:
            yield f"recall of {part}", its["operating_point"]["recall"], tolerance("challenge_wrong.keeping", least)
        else:
            least = max(OF_A_PART, least / 4)
            yield f"average precision of {part}", its["average_precision"], tolerance(f"parts.{part}", least)
    for role, its in challenge.items():
        least = DECISIONS / its["edits"]
        yield f"challenge set, {role}: decided rightly", 1 - its["rate"], tolerance(f"challenge_wrong.{role}", least)
    for kind, its in attack.items():
        yield f"nonsense refused, {kind}", 1 - its["rate"], DECISIONS / its["edits"]


def _read(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def losses(old: Path, new: Path) -> list[str]:
    """What is worse in `new` than in `old` by more than its tolerance; what is gone counts as worse."""
    found = {name: value for name, value, _ in compared(new)}
    worse = []
    for name, committed, tolerance in compared(old):
        value = found.get(name, 0.0)
        print(f"{name}: committed {committed:.4f}, found {value:.4f}, may lose {tolerance:.4f}")
        if committed - value > tolerance + 1e-9:
            worse.append(name)
    return worse


if __name__ == "__main__" and (worse := losses(*map(Path, sys.argv[1:]))):
    sys.exit(
        f"error: worse than the committed results: {', '.join(worse)}; mend the code, or say why, dvc repro, commit"
    )
