"""How much the default model accepts of edits from one mistake to another, and of unexpected ways to mend one.

`python -m benchmarks.unmended` needs `make repro`. The edits are hand-written, in the form of the challenge set
(`benchmarks/unmended/`): in a `!` line both alternatives are wrong, and in a `-` line the left one mends the right one.
The sentences of `known/` are the sample's, of which training has seen most; those of `new/` are nowhere in it.
"""

from pathlib import Path
from typing import Any

from fluency import FluencyScorer
from fluency.corpus.challenge import read_challenge
from fluency.evaluation.proportions import rate
from fluency.model.device import use_machine
from fluency.utils.files import write_json

EDITS, MODEL, RESULT = Path("benchmarks/unmended"), Path("models/fluency"), Path("benchmarks/unmended.json")
NAMES = {"absurd": "from one mistake to another", "mistake": "mistakes", "repair": "unexpected repairs"}


def main() -> None:
    use_machine()
    scorer = FluencyScorer.load(MODEL, bf16=False)
    result = {name: accepted(scorer, EDITS / name) for name in ("known", "new")}
    write_json(RESULT, result)
    for name, its in result.items():
        for kind, found in its.items():
            print(f"{name:8} {kind:28} {found['accepted']:4} of {found['edits']:4} accepted, {found['rate']:.1%}")


def accepted(scorer: FluencyScorer, folder: Path) -> dict[str, Any]:
    """By what the edits do, how many are accepted at the operating point, and the share with its 95 % interval."""
    edits = read_challenge(folder)
    decided = scorer.decide([edit.change for edit in edits], errors="nan")
    its = {role: decided[[edit.role == role for edit in edits]] for role in NAMES}
    return {
        NAMES[role]: {"edits": len(found), "accepted": int(found.sum()), **rate(found)} for role, found in its.items()
    }


if __name__ == "__main__":
    main()
