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
_PREFIX = re.compile(r"\s*([^:：]{1,100})[:：]\s*")
_FEWEST = 3  # rows that share a prefix, before it counts as an instruction


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


def relation_of(column: str, task: Any, relations: Mapping[str, str]) -> str:
    """What is between source and target of a task: `correction` or `rewrite`; without a task it is a correction.

    Args:
        column: where the task stands.
        relations: of the known tasks, by `task_name`.

    Raises:
        ValueError: the task is not known.
    """
    if task is None:
        return "correction"
    if relation := relations.get(task_name(task)):
        return relation
    raise ValueError(f"{column}: not known, say in data.task_relations what it means; found {task!r}"[:200])


def instructions_in(changes: Iterable[tuple[Any, Any]]) -> frozenset[str]:
    """The prefix that most sources begin with and no target has, if there is one: an instruction of the corpus."""
    changes = [(before, after) for before, after in changes if isinstance(before, str) and isinstance(after, str)]
    found = Counter(match[1] for before, _ in changes if (match := _PREFIX.match(before)))
    if not found:
        return frozenset()
    prefix, count = found.most_common(1)[0]
    common = count >= _FEWEST and 2 * count > len(changes)
    return frozenset([prefix] if common and not any(prefix in after for _, after in changes) else ())


def without_instruction(before: str, after: str, task: Any, own: frozenset[str]) -> str:
    """The source sentence alone. What is no known instruction stays: a sentence may have a colon.

    Args:
        task: of the row; None where the corpus has none, and no known instructions.
        own: what `instructions_in` found.
    """
    match = _PREFIX.match(before)
    if not match:
        return before
    known = match[1] in own or (task and _INSTRUCTION.fullmatch(match[1].strip()))
    rest = before[match.end() :]
    # what the target has too is text, also where it is changed
    return rest if known and Levenshtein.distance(rest, after) < Levenshtein.distance(before, after) else before
