"""What is read in packs is what the language model says of each sentence alone."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fluency.model.likelihood import Side, Tokens, batches_of_packs, read_batch, shared_ends, tokenise
from tests.helpers.language_models import WIDTH, byte_tokenizer, random_llama

MODEL, TOKENIZER, LAYER, FOLLOWING = random_llama(), byte_tokenizer(), 2, 3
SENTENCES = st.lists(st.integers(1, 4), max_size=12).map(lambda ids: (0, *ids))  # few tokens, so that ends are shared


def parted(one: Sequence[int], other: Sequence[int]) -> tuple[int, int]:
    """`shared_ends` by trying."""
    most = min(len(one), len(other))
    first = max(n for n in range(most + 1) if one[:n] == other[:n])
    return first, max(n for n in range(most - first + 1) if one[len(one) - n :] == other[len(other) - n :])


@torch.no_grad()
def alone(tokens: Tokens, shared: int, tail: int) -> Side:
    """A side by one plain pass over its sentence."""
    output, end = MODEL(torch.tensor([tokens]), output_hidden_states=True), len(tokens) - tail
    states, chances = output.hidden_states[LAYER][0].numpy(), output.logits[0].log_softmax(-1).numpy()
    parts = states[shared:end], states[end : end + FOLLOWING]
    means = [part.mean(0) if len(part) else np.zeros(WIDTH) for part in parts]
    log_probs = np.array([chances[at - 1, tokens[at]] for at in range(shared, len(tokens))])
    return Side(log_probs, np.array(tokens[shared:]), end - shared, shared, *means)


def check(edits: Sequence[tuple[Tokens, Tokens]], max_tokens: int = 2048) -> None:
    """Read edits in packs, and compare each with its sentences alone."""
    batches = batches_of_packs(edits, max_tokens)
    read = [edit for packs in batches for pack in packs for edit in pack.edits]
    sides = [its for packs in batches for its in read_batch(MODEL, packs, layer=LAYER, following=FOLLOWING)]
    assert {frozenset(edit) for edit in read} == {frozenset(edit) for edit in edits if edit[0] != edit[1]}
    assert len({frozenset(edit) for edit in read}) == len(read)
    for edit, both in zip(read, sides, strict=True):
        for side, tokens in zip(both, edit, strict=True):
            expected = alone(tokens, *parted(*edit))
            assert (side.changed, side.shared) == (expected.changed, expected.shared)
            for name in ("log_probs", "at_edit", "after_edit"):
                value, wanted = getattr(side, name), getattr(expected, name)
                assert (value.dtype, value.shape) == (np.float32, wanted.shape)
                assert np.abs(value - wanted).max(initial=0) < 1e-4, name


def tokens(*sentences: str) -> list[Tokens]:
    return tokenise(TOKENIZER, sentences)


@pytest.fixture
def passes(monkeypatch) -> list[tuple[int, int]]:
    """Rows and tokens of each pass over packs, which come with a mask; sentences alone have none."""
    forward, shapes = MODEL.model.forward, []

    def counting(**inputs):
        if inputs.get("attention_mask") is not None:
            shapes.append(tuple(inputs["input_ids"].shape))
        return forward(**inputs)

    monkeypatch.setattr(MODEL.model, "forward", counting)
    return shapes


def test_a_sentence_is_a_line_behind_the_token_that_ends_a_text():
    ((first, *rest),) = tokens("She goes.")
    assert (first, TOKENIZER.decode(rest)) == (TOKENIZER.eos_token_id, "\nShe goes.\n")
    assert tokens() == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("The man goes home.", "A man goes home."),
        ("The man goes home.", "The man often walks home."),
        ("The man goes home.", "The man goes by bus."),
        ("He goes home.", "And then he goes home."),
        ("He goes home.", "He often goes home."),
        ("He goes home", "He goes home today"),
        ("She goes to the market.", "There are many reasons why."),
        ("He goes the the way.", "He goes the the the way."),  # what is the same at both ends overlaps
        ("He goes home.", "He goes home."),
    ],
)
def test_an_edit_anywhere_and_its_reverse_are_read_as_their_sentences_alone(before, after):
    one, other = tokens(before, after)
    check([(one, other)])
    check([(other, one)])


def test_an_edit_and_its_reverse_are_read_once_and_so_is_what_they_share(passes):
    one, other = tokens("He often goes home.", "He sometimes goes home.")
    check([(one, other), (other, one), (one, other)])
    assert passes == [(1, len(one) + len(other) - shared_ends(one, other)[0])]


def test_an_edit_that_changes_nothing_is_not_read(passes):
    same, other = tokens("He goes by bus.", "He goes by train.")
    check([(same, same), (same, other)])
    alone_passes = len(passes)
    check([(same, same)])
    assert len(passes) == alone_passes == 1


def test_a_sentence_with_several_others_is_read_once(passes):
    one, *others = tokens("He goes home by bus.", "He go home by bus.", "He goes home by by bus.", "The bus goes.")
    check([(one, other) for other in others])
    assert passes == [(1, len(one) + sum(len(other) - shared_ends(one, other)[0] for other in others))]


def test_what_sentences_of_several_edits_begin_with_is_read_once(passes):
    walk, walks, talk, talks = tokens(
        "Every day we walk.", "Every day we walks.", "Every day we talk.", "Every day we talks."
    )
    check([(walk, walks), (talk, talks)])
    beginnings = {its[:length] for its in (walk, walks, talk, talks) for length in range(1, len(its) + 1)}
    assert passes == [(1, len(beginnings))]


def test_batches_are_longest_first_within_the_budget_and_packs_do_not_grow_without_end(passes):
    short = [(one, (*one[:-2], 7, *one[-2:])) for one in tokens(*(f"{'many ' * count}" for count in range(1, 20)))]
    one, *others = tokens(*(f"{number} {'He goes home. ' * 3}" for number in range(10)))
    check([*short, *((one, other) for other in others)], max_tokens=300)
    lengths = [length for _, length in passes]
    assert lengths == sorted(lengths, reverse=True)
    assert all(rows == 1 or rows * length <= 300 for rows, length in passes)
    assert max(rows for rows, _ in passes) > 1
    longest = len(short[-1][1])
    assert longest + 64 < lengths[0] <= longest + 128


@settings(max_examples=40)
@given(st.lists(st.tuples(SENTENCES, SENTENCES), max_size=6), st.integers(1, 200))
def test_any_budget_gives_what_the_sentences_alone_give(edits, max_tokens):
    check(edits, max_tokens)


@given(*[st.lists(st.integers(0, 2))] * 2)
def test_shared_ends_are_the_longest_that_do_not_overlap(one, other):
    assert shared_ends(one, other) == parted(one, other)
