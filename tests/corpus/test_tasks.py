"""Sentences stay whole but for an instruction that is one; a task that is not known gives no label."""

import json

import pytest

from fluency.corpus.ingest import read_corpus
from fluency.corpus.rows import Row
from fluency.corpus.tasks import RELATIONS, instructions_in, without_instruction
from fluency.sources.data import fetch_data


def read(path, *records, **options):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    items = read_corpus(fetch_data(f"path:{path}"), "mine", **options)
    return [(item.relation, item.before, item.after) if isinstance(item, Row) else item.reason for item in items]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("He leave at 10:30 from the station.", "He leaves at 10:30 from the station."),
        ("He leave at 10: 30 from the station.", "He leaves at 10: 30 from the station."),
        ("Note: she go.", "Notes: she goes."),
        ("He say: she go.", "He says: she goes."),
        ("Make this clear: he go.", "Make it clear: he goes."),  # no instruction, since the target begins with it too
        ("Fix the old radio: it be broken.", "Mend the old radio: it is broken."),
        ("http://a.b is good: see.", "http://a.b is fine: see."),
    ],
)
def test_a_sentence_with_a_colon_stays_whole(tmp_path, before, after):
    for columns in (("src", "tgt"), ("source", "target")):
        record = dict(zip(columns, (before, after), strict=True))
        assert read(tmp_path / "x.jsonl", record | {"task": "gec"}) == [("correction", before, after)]
        assert read(tmp_path / "x.jsonl", record) == [("correction", before, after)]


@pytest.mark.parametrize(
    "instruction",
    """Fix grammar|Fix grammaticality in this sentence|Remove all grammatical errors from this text|Grammar improvements
    Improve the grammaticality of this sentence,|Update to remove grammar errors|Fix disfluencies in the sentence
    Make the sentence fluent|Clarification|Use clearer wording|Write a better readable version of the sentence
    Make this easier to read|Fix lack of coherence in the sentence|Rewrite in a more formal manner
    Make this sound more formal|Write less informally|Remove POVs in this text|Remove non-neutral points of view
    Remove unsourced opinions from this text|Make this text less biased|Paraphrase this sentence|Use different wording
    Reword this text|Rewrite this with simpler wording""".replace("\n    ", "|").split("|"),
)
def test_coedits_instructions_are_taken_off(instruction):
    assert without_instruction(f"{instruction}: She go.", "She goes.", "gec", frozenset()) == "She go."
    assert without_instruction(f"{instruction}: She go.", "She goes.", None, frozenset()) == f"{instruction}: She go."


def test_an_instruction_is_taken_off_a_sentence_that_begins_like_it():
    assert without_instruction("Fix grammar: Fix the door please.", "Fix the door, please.", "gec", frozenset()) == (
        "Fix the door please."
    )


def test_a_prefix_of_most_sources_and_no_target_is_an_instruction(tmp_path):
    records = [{"src": f"gec: She go at {n}:30.", "tgt": f"She goes at {n}:30."} for n in range(5)]
    plain = {"src": "Note: she go.", "tgt": "Note: she goes."}
    found = read(tmp_path / "x.jsonl", *records, plain)
    assert found[:5] == [("correction", f"She go at {n}:30.", f"She goes at {n}:30.") for n in range(5)]
    assert found[5] == ("correction", plain["src"], plain["tgt"])


def test_several_prefixes_of_most_sources_are_instructions_together(tmp_path):
    prefixes = ["Fix grammar", "Correct this", "GEC", "Correct"] * 3 + ["Fix grammaticality in this sentence"]
    records = [{"src": f"{its}: Correct it {n} go.", "tgt": f"Correct it {n} goes."} for n, its in enumerate(prefixes)]
    found = read(tmp_path / "x.jsonl", *records, {"src": "Mary: she go.", "tgt": "Mary she goes."})
    assert [before for _, before, _ in found] == [f"Correct it {n} go." for n in range(13)] + ["Mary: she go."]


@pytest.mark.parametrize("instruction", ["Paraphrase this", "Rewrite it politely", "Make this easier to read"])
def test_an_instruction_that_asks_for_a_rewrite_is_a_task(tmp_path, instruction):
    """Else the reverse of its edits would be labelled 0."""
    records = [{"src": f"{instruction}: Shop {n} shuts.", "tgt": f"Shop {n} closes."} for n in range(4)]
    told = f"task: not known, say in data.task_relations what it means; found {instruction!r}"
    assert read(tmp_path / "x.jsonl", *records) == [told] * 4
    found = read(tmp_path / "x.jsonl", *records, relations={instruction.lower(): "rewrite"})
    assert found == [("rewrite", f"Shop {n} shuts.", f"Shop {n} closes.") for n in range(4)]


@pytest.mark.parametrize("instruction", ["改正", "Rewrite without grammatical errors", "Fix it"])
def test_an_instruction_that_asks_for_no_rewrite_is_of_a_correction(tmp_path, instruction):
    records = [{"src": f"{instruction}: Shop {n} shut.", "tgt": f"Shop {n} shuts."} for n in range(4)]
    assert {its[0] for its in read(tmp_path / "x.jsonl", *records)} == {"correction"}


@pytest.mark.parametrize(
    "changes",
    [
        [("A: she go.", "A: she goes.")] * 5,  # in the target too
        [("A: she go.", "She goes.")] * 2,  # too few
        [("A: she go.", "She goes.")] * 3 + [("she go.", "She goes.")] * 4,  # not most
        [("Fix this: she go.", "She goes.")] * 2 + [("she go.", "She goes.")] * 4,  # known, and too few
        [("Update: she go.", "Update: she goes.")] * 3,  # a command that is text
        [(None, "x"), (3, None)] * 3,
        [],
    ],
)
def test_a_prefix_of_fewer_or_of_targets_is_text(changes):
    assert instructions_in(changes) == frozenset()


def test_known_instructions_may_stand_before_few_sources():
    changes = [("Paraphrase this: she go.", "She goes.")] * 2 + [("Fix grammar: it go.", "It goes.")]
    own = instructions_in([*changes, *[("Mary: she go.", "Mary she goes.")] * 3, *[("they goes.", "They go.")] * 40])
    assert own == {"Paraphrase this", "Fix grammar"}


def test_an_unknown_task_is_rejected_and_named_until_a_param_says_what_it_means(tmp_path):
    path, record = tmp_path / "x.jsonl", {"src": "The shop shuts at noon.", "tgt": "The shop closes at noon."}
    record["task"] = "paraphrasing"
    told = "task: not known, say in data.task_relations what it means; found 'paraphrasing'"
    assert read(path, record) == [told]
    assert read(path, record, relations={"paraphrasing": "rewrite"}) == [("rewrite", record["src"], record["tgt"])]
    assert read(path, record | {"task": None}) == [("correction", record["src"], record["tgt"])]
    assert read(path, record | {"task": None, "instruction": ""}) == [("correction", record["src"], record["tgt"])]


@pytest.mark.parametrize("task", RELATIONS)
def test_iteraters_intentions_are_tasks(tmp_path, task):
    record = {"before_sent": " It is big.", "after_sent": " It is large.", "labels": task, "doc_id": "1"}
    assert read(tmp_path / "x.jsonl", record) == [(RELATIONS[task], "It is big.", "It is large.")]
    assert read(tmp_path / "x.jsonl", record | {"labels": "others"})[0].startswith("labels: not known")
    assert read(tmp_path / "x.jsonl", record, tasks=["others"]) == [f"labels: not among data.tasks; found {task!r}"]


@pytest.mark.parametrize(
    ("record", "column"),
    [
        ({"src": "It is big.", "tgt": "It is large.", "instruction": "Reword it."}, "instruction"),
        ({"src": "It is big.", "tgt": "It is large.", "instruction": "Reword it.", "task": ""}, "instruction"),
        ({"src": "It is big.", "tgt": "It is large.", "instruction": "Mend it.", "task": "Reword it."}, "task"),
        ({"translation": {"src": "It is big.", "tgt": "It is large."}, "task": "Reword it."}, "task"),
        ({"translation": {"src": "It is big.", "tgt": "It is large.", "task": "Reword it."}}, "task"),
        ({"before_sent": "It is big.", "after_sent": "It is large.", "labels": "Reword it.", "task": "gec"}, "labels"),
    ],
)
def test_wherever_the_task_stands_it_filters_and_says_relation_and_kind(tmp_path, record, column):
    path, relations = tmp_path / "x.jsonl", {"Reword it.": "rewrite", "Mend it.": "correction"}
    assert read(path, record) == [f"{column}: not known, say in data.task_relations what it means; found 'Reword it.'"]
    assert read(path, record, tasks=["gec"]) == [f"{column}: not among data.tasks; found 'Reword it.'"]
    assert read(path, record, tasks=["Reword it."], relations=relations) == [("rewrite", "It is big.", "It is large.")]
    (row,) = read_corpus(fetch_data(f"path:{path}"), "mine", relations=relations)
    assert row.kind == "Reword it."
