"""What a causal language model says of the two sentences of an edit; a beginning that sentences share is read once."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fluency.model.encoding import batches

Tokens = tuple[int, ...]
Edit = tuple[Tokens, Tokens]

_MORE_TOKENS = 128  # of a pack than its longest sentence has; its mask grows with their square
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


# --- Packs: sentences of several edits as a tree of tokens; what they begin with in common stands in it once ---


@dataclass(frozen=True, slots=True)
class Pack:
    """Edits that are read together.

    Attributes:
        edits: tokens before and after, or the other way round.
        sentences: all of theirs, in the order of their tokens.
        length: tokens of their tree.
    """

    edits: list[Edit]
    sentences: list[Tokens]
    length: int

    def paths(self) -> dict[Tokens, np.ndarray]:
        """For each sentence the places in the tree that its tokens have. Of shape [tokens]."""
        paths, path, previous, size = {}, np.array([], dtype=np.int64), (), 0
        for sentence in self.sentences:
            shared = _alike(previous, sentence)
            own = np.arange(size, size + len(sentence) - shared)
            path = paths[sentence] = np.concatenate([path[:shared], own])
            previous, size = sentence, size + len(own)
        return paths


def batches_of_packs(edits: Iterable[Edit], max_tokens: int) -> list[list[Pack]]:
    """Batches, longest first, in which each edit stands once, either way; one that changes nothing stands in none.

    Args:
        edits: tokens before and after.
        max_tokens: padded tokens of a batch.
    """
    packs = list(_packs(dict.fromkeys(frozenset(edit) for edit in edits if edit[0] != edit[1]), max_tokens))
    return [[packs[row] for row in rows] for rows in batches([pack.length for pack in packs], max_tokens)]


def _packs(edges: Collection[frozenset[Tokens]], max_tokens: int) -> Iterator[Pack]:
    """Packs in which each edge stands once: sorted by the sentence that has more of them, so that it is read once."""
    partners = Counter(chain.from_iterable(edges))
    pack = Pack([], [], 0)
    for edit in sorted(tuple(sorted(edge, key=lambda its: (-partners[its], its))) for edge in edges):
        larger = _with(pack, edit)
        if pack.edits and larger.length > min(max(map(len, larger.sentences)) + _MORE_TOKENS, max_tokens):
            yield pack
            larger = _with(Pack([], [], 0), edit)
        pack = larger
    if pack.edits:
        yield pack


def _with(pack: Pack, edit: Edit) -> Pack:
    """The pack with one more edit."""
    sentences, length = list(pack.sentences), pack.length
    for sentence in edit:
        place = bisect_left(sentences, sentence)
        if sentences[place : place + 1] != [sentence]:
            neighbours = sentences[max(place - 1, 0) : place + 1]
            length += len(sentence) - max((_alike(sentence, its) for its in neighbours), default=0)
            sentences.insert(place, sentence)
    return Pack([*pack.edits, edit], sentences, length)


def _laid_out(
    packs: Sequence[Pack], paths: Sequence[Mapping[Tokens, np.ndarray]]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids and positions of shape [packs, length], and who sees whom of shape [packs, 1, length, length].

    A token sees what stands before it in its sentence, as if the sentence stood alone; padding sees itself.
    """
    shape = len(packs), max(pack.length for pack in packs)
    ids, positions = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    mask = np.broadcast_to(np.eye(shape[1], dtype=bool), (*shape, shape[1])).copy()
    for row, its in enumerate(paths):
        for sentence, path in its.items():
            ids[row, path], positions[row, path] = sentence, np.arange(len(path))
            mask[row, path[:, None], path] = np.tri(len(path), dtype=bool)
    return torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(mask[:, None])


# --- What the model says of a batch of packs ---


@torch.inference_mode()
def read_batch(
    model: PreTrainedModel, packs: Sequence[Pack], *, layer: int, following: int
) -> Iterator[tuple[Side, Side]]:
    """What the model says of both sides of each edit, in the order of the packs and their edits.

    Args:
        layer: whose states are taken: 0 is the embedding, 1 the first layer.
        following: tokens after the changed ones whose states are taken, at most.
    """
    paths = [pack.paths() for pack in packs]
    ids, positions, mask = (tensor.to(model.device) for tensor in _laid_out(packs, paths))
    output = model.base_model(
        input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False, output_hidden_states=True
    )
    edits = [(row, edit, *shared_ends(*edit)) for row, pack in enumerate(packs) for edit in pack.edits]
    sides = [(row, side, shared, tail) for row, edit, shared, tail in edits for side in edit]
    own = [paths[row][side][shared:] for row, side, shared, _ in sides]
    previous = [paths[row][side][shared - 1 : -1] for row, side, shared, _ in sides]
    rows = np.repeat([row for row, *_ in sides], [len(its) for its in own])
    last_states = output.last_hidden_state[rows, np.concatenate(previous)]
    tokens, states = (its[rows, np.concatenate(own)] for its in (ids, output.hidden_states[layer]))
    found = (_log_probs(model, last_states, tokens), tokens.cpu().numpy(), states.float().cpu().numpy())
    ends = np.cumsum([len(its) for its in own])[:-1]
    pieces = zip(sides, *(np.split(its, ends) for its in found), strict=True)
    read = (
        _side(*piece, changed=len(side) - shared - tail, shared=shared, following=following)
        for (_, side, shared, tail), *piece in pieces
    )
    yield from zip(read, read, strict=True)


def _side(
    log_probs: np.ndarray, ids: np.ndarray, states: np.ndarray, *, changed: int, shared: int, following: int
) -> Side:
    at_edit, after_edit = (
        its.sum(0) / np.float32(max(len(its), 1)) for its in (states[:changed], states[changed:][:following])
    )
    return Side(log_probs, ids, changed, shared, at_edit, after_edit)


def _log_probs(model: PreTrainedModel, states: torch.Tensor, ids: torch.Tensor) -> np.ndarray:
    """log p of tokens, given the last states of the tokens before them; of shape [tokens]."""
    found = []
    for some, wanted in zip(states.split(_PROJECTED), ids.split(_PROJECTED), strict=True):
        logits = model.get_output_embeddings()(some).float()
        found.append(logits.gather(1, wanted[:, None])[:, 0] - logits.logsumexp(1))
    return torch.cat(found).cpu().numpy()
