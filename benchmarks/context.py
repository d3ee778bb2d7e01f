"""What should stand before a sentence that a language model reads: untrained, how well it orders the validation pairs.

`python -m benchmarks.context` needs `make repro` first; writes benchmarks/context.json.
"""

import json
from pathlib import Path

import numpy as np

from benchmarks.ablation import BASE, PAIRS
from fluency.metrics import average_precision
from fluency.model.device import device_at_hand, use_machine
from fluency.model.edit_reader import EditReader
from fluency.model.likelihood import Tokens, batches_of_packs, read_batch
from fluency.params import load_params
from fluency.utils.files import read_parquet, write_json

RESULT = Path(__file__).with_suffix(".json")
PARTS = ("contrast", "hand-written", "learner", "short")
CONTEXTS = {  # in SmolLM2's special tokens
    "the start of a chat's turn": "<|im_start|>",
    "the answer in a chat": "<|im_start|>assistant\n",
    "the end of a text": "<|endoftext|>",
    "the end of a turn, and a line break": "<|im_end|>\n",
    "another sentence": "<|endoftext|>The children played in the garden until it was dark.\n",
}


def main() -> None:
    use_machine()
    reader = EditReader(BASE, device_at_hand(), load_params().encode)
    rows = [row for row in read_parquet(PAIRS / "validation.parquet") if row["part"] in PARTS]
    labels, parts = np.array([row["label"] for row in rows]), np.array([row["part"] for row in rows])
    found = {}
    for name, context in CONTEXTS.items():
        scores = differences(reader, context, [(row["before"], row["after"]) for row in rows])
        ranks = scores.argsort().argsort() / len(scores)  # an order is all that average precision looks at
        found[name] = {part: round(average_precision(ranks[parts == part], labels[parts == part]), 3) for part in PARTS}
        write_json(RESULT, found)  # the next one takes a minute
    print(json.dumps(found, indent=2))


def differences(reader: EditReader, context: str, changes: list[tuple[str, str]]) -> np.ndarray:
    """log p(after) - log p(before), each behind the context; of shape [changes]."""
    start = reader.tokenizer(context, add_special_tokens=False, split_special_tokens=False)["input_ids"]

    def tokens(sentence: str) -> Tokens:
        return (*start, *reader.tokenizer(f"{sentence}\n", add_special_tokens=False)["input_ids"])

    edits = [(tokens(before), tokens(after)) for before, after in changes]
    known = {}
    for packs in batches_of_packs(edits, reader.device.batch_tokens):
        read = [edit for pack in packs for edit in pack.edits]
        sides = read_batch(reader.model, packs, layer=reader.params.layer, following=reader.params.following)
        for edit, (one, other) in zip(read, sides, strict=True):
            known[edit] = float(other.log_probs.sum() - one.log_probs.sum())
            known[edit[::-1]] = -known[edit]
    return np.array([known.get(edit, 0.0) for edit in edits])


if __name__ == "__main__":
    main()
