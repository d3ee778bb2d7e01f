"""Corpora of tasks (CoEdIT, IteraTeR): what a task says of its sentences, and the instruction before a sentence."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rapidfuzz.distance import Levenshtein

from fluency.corpus.drafts import is_blank

# the source of a correction has a mistake, that of a rewrite is fluent already
RELATIONS = {
    **dict.fromkeys(("gec", "fluency"), "correction"),
    **dict.fromkeys(("clarity", "coherence", "formality", "neutralize", "paraphrase", "simplification"), "rewrite"),
    **dict.fromkeys(("style", "meaning-changed"), "rewrite"),
}
# CoEdIT's instructions: a command, or the name of a task, and no other words than these
_COMMAND = """change clarification clarify fix formalize grammar improve make neutralize paraphrase remove rephrase
    reword rewrite simplification simplify update use write""".split()
_OTHER = """a all as be better biased clarified clarity clear clearer clearly coherence coherent cohesive cohesiveness
    complex consistency consistent different disfluencies easier errors flow fluent for formal formality formally from
    grammar grammatical grammaticality improvements in informally is it lack less logical logically manner mistakes more
    neutral non of opinions paragraph paraphrase paraphrased points pov povs read readability readable sentence simple
    simpler simplicity simply sound text the this to transition understand understandable unsourced version view with
    wording""".split()
_INSTRUCTION = re.compile(rf"(?:{'|'.join(_COMMAND)})(?:[ ,-]+(?:{'|'.join(_COMMAND + _OTHER)}))*,?", re.IGNORECASE)
# words of an instruction that asks for no correction, if none of the others is among them
_REWRITING = re.compile(
    r"bias|clari|clear|cohe[rs]|consisten|different|easier|flow|formal|logical|neutral|opinion|paraphras|polite|pov"
    r"|read|rephras|reword|rewrit|shorten|simpl|style|view|wording",
    re.IGNORECASE,
)
_MENDING = re.compile("correct|error|fluen|gramma|mistake", re.IGNORECASE)
_PREFIX = re.compile(r"\s*([^:：]{1,100})[:：]\s*")
_FEWEST = 3  # rows that share a prefix, before it counts as an instruction; rows with one, before any does


def task_in(record: Mapping[str, Any], columns: Iterable[str]) -> tuple[str, Any] | None:
    """The column that says a record's task, the first that is filled, and the task; None where it has none of them.

    The columns may be fields of `translation`.
    """
    fields = record.get("translation")
    its = {**record, **fields} if isinstance(fields, dict) else record
    said = [(column, None if is_blank(its[column]) else its[column]) for column in columns if column in its]
    return next((task for task in said if task[1] is not None), said[0] if said else None)


def task_name(task: Any) -> str:
    """A task in one spelling: `gec` of `GEC `."""
    return str(task).strip().casefold()


def relation_of(column: str, task: Any, relations: Mapping[str, str], instruction: str = "") -> str:
    """What is between source and target of a task: `correction` or `rewrite`; without a task it is a correction.

    Args:
        column: where the task stands.
        relations: of the known tasks, by `task_name`.
        instruction: what stood before the source; it is the task where there is no other and it asks for a rewrite.

    Raises:
        ValueError: the task is not known.
    """
    if task is None:
        if not instruction or _MENDING.search(instruction) or not _REWRITING.search(instruction):
            return "correction"
        task = instruction.strip(" \n:：")
    if relation := relations.get(task_name(task)):
        return relation
    raise ValueError(f"{column}: not known, say in data.task_relations what it means; found {task!r}"[:200])


def instructions_in(changes: Iterable[tuple[Any, Any]]) -> frozenset[str]:
    """The prefixes that sources share and no target has: instructions of the corpus.

    Known instructions count where a few sources have one, other prefixes only where most have.
    """
    changes = [(before, after) for before, after in changes if isinstance(before, str) and isinstance(after, str)]
    found = Counter(match[1] for before, _ in changes if (match := _PREFIX.match(before)))
    targets = {match[1] for _, after in changes if (match := _PREFIX.match(after))}
    known = {its for its in found if _INSTRUCTION.fullmatch(its.strip())} - targets
    common = {its for its, count in found.items() if count >= _FEWEST} - targets | known
    if sum(found[its] for its in common) >= max(_FEWEST, len(changes) // 2 + 1):
        return frozenset(common)
    return frozenset(known if sum(found[its] for its in known) >= _FEWEST else ())


def without_instruction(before: str, after: str, task: Any, own: frozenset[str]) -> str:
    """The source sentence alone. What is no known instruction stays: a sentence may have a colon.

    Args:
        task: of the row; None where the corpus has none.
        own: what `instructions_in` found.
    """
    match = _PREFIX.match(before)
    if not match:
        return before
    known = match[1] in own or ((task or own) and _INSTRUCTION.fullmatch(match[1].strip()))
    rest = before[match.end() :]
    # what the target has too is text, also where it is changed
    return rest if known and Levenshtein.distance(rest, after) < Levenshtein.distance(before, after) else before
