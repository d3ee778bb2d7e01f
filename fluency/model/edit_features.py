"""What an edit head reads of an edit: figures of its tokens' log-probabilities, and states of the language model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from fluency.edits.forms import Change
from fluency.model.device import Device
from fluency.model.edit_head import stack
from fluency.model.encoding import Item, Unseen, load_tokenizer, without_bar
from fluency.model.likelihood import Side, Tokens, read, shared_ends, tokenise
from fluency.model.params import EncodeParams

# Of a side; an edit has the difference of each between its sides, and the figures of the side after it.
_FIGURES = (
    "log p of the tokens that differ", "a token", "of those changed", "a changed token", "of those that follow",
    "of the rest", "least of all", "least of those changed", "changed tokens", "tokens",
    "rareness of the changed tokens", "a changed token's", "the rarest's",
)  # fmt: skip
FEATURES = (*(f"{name}, difference" for name in _FIGURES), *(f"{name}, after" for name in _FIGURES), "tokens shared")
STATES = ("at the edit before", "at the edit after", "after the edit, difference")


class EditReader:
    """Reads edits with a language model, as an edit head takes them.

    Attributes:
        max_length: tokens of the longest sentence that is read whole.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, params: EncodeParams, *, batch_tokens: int
    ) -> None:
        self.model, self.tokenizer, self.params, self.batch_tokens = model, tokenizer, params, batch_tokens
        self.max_length = params.max_length

    @classmethod
    def load(cls, folder: Path, device: Device, params: EncodeParams, *, config: dict | None = None) -> "EditReader":
        """The language model and tokenizer in a local folder; safetensors only, no remote code.

        Args:
            config: the language model's, where that of the folder is another's.
        """
        own = None if config is None else AutoConfig.for_model(**config)
        with without_bar():
            model = AutoModelForCausalLM.from_pretrained(
                folder,
                config=own,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.bfloat16 if device.bf16 else torch.float32,
            )
        tokenizer = load_tokenizer(folder, own)
        return cls(model.to(device.name).eval(), tokenizer, params, batch_tokens=device.batch_tokens)

    def tokenise(self, changes: Sequence[Change], *, cut: bool) -> list[Item]:
        """The tokens of changes.

        Args:
            cut: keep of longer sentences the `max_length` tokens around the edit; else they stay whole.
        """
        before, after = (tokenise(self.tokenizer, sentences) for sentences in zip(*changes, strict=True))
        sides = zip(before, after, strict=True)
        return [
            {"before": one, "after": other}
            for one, other in ((_around_edit(*both, self.max_length) for both in sides) if cut else sides)
        ]

    def unseen(self, changes: Sequence[Change]) -> list[Unseen | None]:
        """For each change why the model sees no edit, or None; sentences are cut around the edit, never before it."""
        items = self.tokenise(changes, cut=False)
        return ["invisible" if item["before"] == item["after"] else None for item in items]

    def length(self, item: Item) -> int:
        """Tokens of the longer sentence."""
        return max(len(item["before"]), len(item["after"]))

    def read(self, items: Sequence[Item], *, progress: str | None = None) -> list[Item]:
        """Features and states of tokenised changes."""
        found: list[Item] = [{}] * len(items)
        edits = [(item["before"], item["after"]) for item in items]
        layer, following = self.params.layer, self.params.following
        sides = read(
            self.model, edits, layer=layer, following=following, max_tokens=self.batch_tokens, progress=progress
        )
        for index, before, after in sides:
            found[index] = {
                "features": features(before, after, following),
                "states": states(before, after).astype(np.float16),
            }
        return found

    def padded(self, _: Item) -> int:
        """An edit that was read is one row of a batch."""
        return 1

    def collate(self, items: Sequence[Item]) -> dict[str, torch.Tensor]:
        """A batch of edits that were read."""
        return stack(items)


def features(before: Side, after: Side, following: int) -> np.ndarray:
    """The figures that `FEATURES` names: float32, of shape [features]; numbers of tokens are logarithms."""
    one, other = _figures(before, following), _figures(after, following)
    return np.array([*(other - one), *other, np.log(before.shared)], dtype=np.float32)


def states(before: Side, after: Side) -> np.ndarray:
    """What `STATES` names: float32, of shape [3, width]."""
    return np.stack([before.at_edit, after.at_edit, after.after_edit - before.after_edit])


def _figures(side: Side, following: int) -> np.ndarray:
    every = side.log_probs.astype(np.float64)
    changed, rest = every[: side.changed], every[side.changed + following :]
    # a rare word is unlikely though it is right; vocabularies number their tokens by frequency, the first are special
    rareness = np.log(side.ids[: side.changed] + 100.0)
    return np.array(
        [
            every.sum(),
            every.sum() / max(len(every), 1),
            changed.sum(),
            changed.sum() / max(len(changed), 1),
            every[side.changed : side.changed + following].sum(),
            rest.sum(),
            every.min(initial=0.0),
            changed.min(initial=0.0),
            np.log1p(side.changed),
            np.log(side.shared + len(every)),
            rareness.sum(),
            rareness.sum() / max(len(rareness), 1),
            rareness.max(initial=0.0),
        ]
    )


def _around_edit(before: Tokens, after: Tokens, max_length: int) -> tuple[Tokens, Tokens]:
    """Both sentences cut alike to at most `max_length` tokens, with as much of the edit in them as fits."""
    if max(len(before), len(after)) > max_length:
        shared, _ = shared_ends(before, after)
        start = max(0, shared - max_length // 2)
        before, after = before[start : start + max_length], after[start : start + max_length]
    return before, after
