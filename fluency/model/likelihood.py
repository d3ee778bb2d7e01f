"""What a causal language model says of the two sentences of an edit; a beginning that sentences share is read once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fluency.model.encoding import batches

Tokens = tuple[int, ...]

_BRANCH_TOKENS = 256  # of a pack; its mask grows with their square
_PROJECTED = 512  # tokens at once whose chances are worked out over the whole vocabulary


@dataclass(frozen=True, slots=True)
class Side:
    """What the model says of one sentence of an edit, from the first token that the two sentences do not share.

    Attributes:
        log_probs: log p of each of its tokens given all before it, natural logarithm. Of shape [tokens], float32.
        ids: the tokens. Of shape [tokens].
        changed: how many of them, from the first on, the other sentence does not have.
        shared: tokens before them.
        at_edit: mean state of the changed tokens; zeros where there are none. Of shape [width], float32.
        after_edit: mean state of the tokens that follow; zeros where there are none. Of shape [width], float32.
    """

    log_probs: np.ndarray
    ids: np.ndarray
    changed: int
    shared: int
    at_edit: np.ndarray
    after_edit: np.ndarray


def tokenise(tokenizer: PreTrainedTokenizerBase, sentences: Sequence[str]) -> list[Tokens]:
    """Tokens of sentences, each a line of its own behind the tokenizer's end token (or its start token, without one).

    Behind its start token a chat model expects a role's name, and short mistakes are likelier than what is right.
    """
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.bos_token_id
    lines = ["\n", *(f"{sentence}\n" for sentence in sentences)]
    line_break, *whole = tokenizer(lines, add_special_tokens=False, verbose=False)["input_ids"]
    return [(end, *line_break, *ids) for ids in whole]


def shared_ends(one: Sequence[int], other: Sequence[int]) -> tuple[int, int]:
    """How many tokens two sentences share at their beginnings and, of the rest, at their ends."""
    first = _alike(one, other)
    return first, _alike(one[first:][::-1], other[first:][::-1])


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def unchanged(shared: int, width: int) -> Side:
    """A side of an edit that changes nothing, of which nothing need be read."""
    none = np.zeros(width, dtype=np.float32)
    return Side(np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64), 0, shared, none, none)


# --- Packs: a sentence whole, then of each that it is compared with the tokens from where they part ---


@dataclass(frozen=True, slots=True)
class Pack:
    """A sentence, and those it is compared with: each whole, and how many tokens it shares at beginning and end."""

    trunk: Tokens
    branches: list[tuple[Tokens, int, int]]

    @property
    def length(self) -> int:
        return len(self.trunk) + sum(len(tokens) - shared for tokens, shared, _ in self.branches)


def batches_of_packs(edits: Iterable[tuple[Tokens, Tokens]], max_tokens: int) -> list[list[Pack]]:
    """Batches, longest first, in which each edit stands once, either way; one that changes nothing stands in none.

    Args:
        edits: tokens before and after.
        max_tokens: padded tokens of a batch.
    """
    packs = list(_packs(dict.fromkeys(frozenset(edit) for edit in edits if edit[0] != edit[1])))
    return [[packs[row] for row in rows] for rows in batches([pack.length for pack in packs], max_tokens)]


def _packs(edges: Iterable[frozenset[Tokens]]) -> Iterator[Pack]:
    """Packs in which each edge stands once; the sentence of most edges is a trunk first."""
    partners: dict[Tokens, list[Tokens]] = {}
    for edge in edges:
        one, other = sorted(edge)
        partners.setdefault(one, []).append(other)
        partners.setdefault(other, []).append(one)
    done: set[frozenset[Tokens]] = set()
    for trunk in sorted(partners, key=lambda sentence: (-len(partners[sentence]), sentence)):
        pack = Pack(trunk, [])
        for other in partners[trunk]:
            if (edge := frozenset((trunk, other))) not in done:
                done.add(edge)
                if pack.length + len(other) > len(trunk) + _BRANCH_TOKENS and pack.branches:
                    yield pack
                    pack = Pack(trunk, [])
                pack.branches.append((other, *shared_ends(trunk, other)))
        if pack.branches:
            yield pack


def _laid_out(packs: Sequence[Pack]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids and positions of shape [packs, length], and who sees whom of shape [packs, 1, length, length].

    A branch's token sees the trunk up to where they part and its own branch up to itself, as if it stood alone.
    """
    shape = len(packs), max(pack.length for pack in packs)
    ids, positions = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    segment, parts_at = np.full(shape, -1), np.zeros(shape, dtype=np.int64)  # padding sees only itself and its like
    for row, pack in enumerate(packs):
        start = 0
        for number, (tokens, shared) in enumerate([(pack.trunk, 0), *(branch[:2] for branch in pack.branches)]):
            end = start + len(tokens) - shared
            ids[row, start:end], positions[row, start:end] = tokens[shared:], range(shared, len(tokens))
            segment[row, start:end], parts_at[row, start:end] = number, shared
            start = end
    earlier = np.tri(shape[1], dtype=bool)
    own = segment[:, :, None] == segment[:, None, :]
    before = (segment[:, None, :] == 0) & (positions[:, None, :] < parts_at[:, :, None])
    mask = earlier & (own | before)
    return torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(mask[:, None])


# --- What the model says of a batch of packs ---


@dataclass(frozen=True, slots=True)
class _Span:
    """Where a side's own tokens lie in its pack, and the token before the first of them."""

    row: int
    start: int
    end: int
    previous: int
    changed: int
    shared: int


def _spans(row: int, pack: Pack) -> Iterator[tuple[_Span, _Span]]:
    """The spans of the trunk's side and of the branch's, for each branch."""
    start = len(pack.trunk)
    for tokens, shared, tail in pack.branches:
        end = start + len(tokens) - shared
        yield (
            _Span(row, shared, len(pack.trunk), shared - 1, len(pack.trunk) - shared - tail, shared),
            _Span(row, start, end, shared - 1, len(tokens) - shared - tail, shared),
        )
        start = end


@torch.inference_mode()
def read_batch(
    model: PreTrainedModel, packs: Sequence[Pack], *, layer: int, following: int
) -> Iterator[tuple[Side, Side]]:
    """What the model says of each trunk and branch, in the order of the packs and their branches.

    Args:
        layer: whose states are taken: 0 is the embedding, 1 the first layer.
        following: tokens after the changed ones whose states are taken, at most.
    """
    ids, positions, mask = (tensor.to(model.device) for tensor in _laid_out(packs))
    output = model.base_model(
        input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False, output_hidden_states=True
    )
    states = output.hidden_states[layer]
    spans = [span for row, pack in enumerate(packs) for both in _spans(row, pack) for span in both]
    rows = np.concatenate([np.full(span.end - span.start, span.row) for span in spans])
    places = np.concatenate([np.arange(span.start, span.end) for span in spans])
    previous = np.concatenate(
        [np.r_[span.previous, span.start : span.end - 1][: span.end - span.start] for span in spans]
    )
    own = ids[rows, places]
    log_probs = _log_probs(model, output.last_hidden_state[rows, previous], own)
    ends = np.cumsum([span.end - span.start for span in spans])[:-1]
    pieces = zip(np.split(log_probs, ends), np.split(own.cpu().numpy(), ends), strict=True)
    sides = iter(
        Side(
            *piece,
            span.changed,
            span.shared,
            _mean(states[span.row, span.start : span.start + span.changed]),
            _mean(states[span.row, span.start + span.changed : span.end][:following]),
        )
        for span, piece in zip(spans, pieces, strict=True)
    )
    yield from zip(sides, sides, strict=True)


def _log_probs(model: PreTrainedModel, states: torch.Tensor, ids: torch.Tensor) -> np.ndarray:
    """log p of tokens, given the last states of the tokens before them; of shape [tokens]."""
    found = []
    for some, wanted in zip(states.split(_PROJECTED), ids.split(_PROJECTED), strict=True):
        logits = model.get_output_embeddings()(some).float()
        found.append(logits.gather(1, wanted[:, None])[:, 0] - logits.logsumexp(1))
    return torch.cat(found).cpu().numpy()


def _mean(states: torch.Tensor) -> np.ndarray:
    return (states.float().sum(0) / max(len(states), 1)).cpu().numpy()
