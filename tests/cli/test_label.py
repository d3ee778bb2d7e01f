"""A judge's labels for rewrites become a corpus to train on: paid for once, without leaks, every row accounted for."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from fluency.cli.commands import main
from fluency.evaluation.support import Support
from fluency.labelling.selection import single_edits
from fluency.scorer.scorer import FluencyScorer
from fluency.utils.files import read_parquet, write_parquet
from tests.conftest import ROOT
from tests.helpers.chat import ChatServer, said, status
from tests.helpers.models import untrained

VERBS = {"Some burglar": "kick", "My neighbour": "paint", "This carpenter": "mend", "That guest": "slam", "It": "hit"}
NEW = [(f"{who} {verb}s the door.", f"{who} {verb} the door.") for who, verb in VERBS.items()]
HELD_OUT = {
    "validation": ("The old man sat on the bench by the river.", "The old man sit on the bench by the river."),
    "test": ("Her brother sings well.", "Her brother sing well."),
}
TRAINED = ("We live here.", "We lives here.")
LEAKING = [
    HELD_OUT["test"],
    ("HER  brother sings well.", "HER  brothers sings well."),
    ("The old man sat on the bench by the river.", "The old man sat on a bench by the river."),
    ("The old man sat on that bench by the river.", "The old man sits on that bench by the river."),  # nearly the same
    ("Dogs bark.", "Dogs barks."),  # of the challenge set
]
OTHERS = [("He go home now.", "He goes home then."), ("It is so.", "It is so. "), TRAINED, ("", "x")]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ChatServer() as server:
        yield server


@pytest.fixture
def label(tiny_model, tmp_path, monkeypatch, capsys, server):
    """Labels rewrites in a folder that has a model, pairs and params; returns the corpus and what was printed."""
    untrained(tiny_model, tmp_path / "models")
    for split, change in (HELD_OUT | {"train": TRAINED}).items():
        table = [dict(zip(("before", "after"), change, strict=True))]
        write_parquet(tmp_path / f"data/pairs/{split}.parquet", table, pa.Table.from_pylist(table).schema)
    (tmp_path / "data/sample/challenge").mkdir(parents=True)
    (tmp_path / "data/sample/challenge/one.txt").write_text("- agreement: Dogs [bark|barks].\n")
    monkeypatch.chdir(tmp_path)

    def run(rewrites, *arguments: str, to: str = "judged", **params: object) -> tuple[list[dict], str]:
        params = {"base_url": server.url, "model": server.model, "api_key_env": None, "retries": 0} | params
        _override(tmp_path / "params.yaml", params)
        rows = [dict(zip(("before", "after"), change, strict=True)) for change in rewrites]
        (tmp_path / "rewrites.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        main(["label", "rewrites.jsonl", "-o", to, *arguments])
        lines = (tmp_path / to / "labelled.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines], capsys.readouterr().out

    return run


def _override(path, params) -> None:
    """The project's params.yaml with other values in its block llm."""
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    start = lines.index("llm:\n")
    for at in range(start, len(lines)):
        if (name := lines[at].strip().partition(":")[0]) in params:
            lines[at] = f"  {name}: {json.dumps(params[name])}\n"
    path.write_text("".join(lines), encoding="utf-8")


def changes(rows) -> set[tuple[str, str]]:
    return {(row["before"], row["after"]) for row in rows}


def test_new_single_edits_get_the_judges_labels_and_nothing_leaks(label, server):
    rows, printed = label([*NEW, *LEAKING, *OTHERS, NEW[0]])
    assert changes(rows) == {*NEW} == {*server.answered}
    for row in rows:
        judged = said((row["before"], row["after"]))
        assert (row["label"], row["judge_score"]) == (judged["verdict"] == "fluent", judged["probability"])
        assert (row["split"], row["part"], row["reason"]) == ("train", "judged", judged["reason"])
    told = ["1 several edits", "1 no edit", "1 before: empty", "1 the same as another", "5 like what is evaluated on",
            "1 trained on already"]  # fmt: skip
    assert all(reason in printed for reason in told), printed
    assert "| like what is evaluated on" in Path("judged/README.md").read_text(encoding="utf-8")


def test_those_are_asked_about_that_the_model_is_least_sure_of_and_one_of_like_sentences(label):
    scorer = FluencyScorer.load("models/fluency")
    changed = [(before, before.replace("the", "a")) for before, _ in NEW]
    scores = {change: scorer.score(*change) for change in (*NEW, *changed)}
    threshold = sorted(scores[change] for change in NEW)[2]
    replace(scorer.calibration, threshold=threshold).save("models/calibration.json")
    rows, printed = label([*NEW, *changed], "--count", "3")
    assert len({row["before"] for row in rows}) == 3
    nearest = {}
    for change in (*NEW, *changed):
        off = abs(scores[change] - threshold)
        nearest[change[0]] = min(nearest.get(change[0], (9, None)), (off, change))
    assert changes(rows) == {change for _, change in sorted(nearest.values())[:3]}
    assert "7 surer, or like one that is picked" in printed


def test_what_the_judge_leaves_open_is_left_out_and_counted(label, server):
    answers = ['{"verdict": "unsure"}', "Hard to say."]
    server.content = lambda change: answers[NEW.index(change)] if change in NEW[:2] else json.dumps(said(change))
    server.faults = lambda change: [status(400, "content policy")] if change == NEW[2] else []
    rows, printed = label(NEW)
    assert changes(rows) == {*NEW[3:]}
    assert "1 unparsed: the verdict is neither fluent nor non-fluent" in printed
    assert "1 unparsed: no JSON object with a verdict" in printed
    assert "1 failed: 400: content policy" in printed


def test_answers_that_are_wrong_in_one_way_are_counted_together(label, server):
    wrong = {change: json.dumps({"verdict": "fluent", "probability": 80 + at}) for at, change in enumerate(NEW[:3])}
    server.content = lambda change: wrong.get(change) or json.dumps(said(change))
    rows, printed = label(NEW)
    assert changes(rows) == {*NEW[3:]}
    assert "3 unparsed: the probability is no number from 0 to 1\n" in printed
    card = Path("judged/README.md").read_text(encoding="utf-8")
    assert "| unparsed: the probability is no number from 0 to 1 | " in card


def test_the_costs_are_capped_and_no_answer_is_paid_for_twice(label, server):
    rows, printed = label(NEW, max_calls=2)
    assert (len(rows), server.answered.total()) == (2, 2)
    assert "3 unasked: beyond llm.max_calls" in printed
    more, _ = label(NEW, to="more")
    assert changes(more) == {*NEW} == {*server.answered}
    assert server.answered.total() == 5


def test_a_run_that_breaks_off_leaves_no_corpus_and_goes_on(label, server, tmp_path):
    server.faults = lambda change: [status(401, "expired")] if len(server.answered) == 2 else []
    with pytest.raises(SystemExit, match=r"expired.*the 2 answers so far are kept"):
        label(NEW, concurrency=1)
    assert not (tmp_path / "judged").exists()
    server.faults = lambda change: []
    rows, _ = label(NEW)
    assert len(rows) == 5
    assert server.answered == dict.fromkeys(NEW, 1)


def test_labels_that_were_paid_for_are_never_replaced(label):
    label(NEW)
    before = {path.name: path.read_bytes() for path in Path("judged").iterdir()}
    with pytest.raises(SystemExit, match="judged: is there already; name a new folder"):
        label(NEW[:1])
    assert {path.name: path.read_bytes() for path in Path("judged").iterdir()} == before
    assert before["labelled.jsonl"].count(b"\n") == 5


def test_edits_outside_support_are_set_aside_unasked(label, server):
    scorer = FluencyScorer.load("models/fluency")
    support = Support(1.0, scorer.calibration.support.bounds | {"words": (0, 5)})
    replace(scorer.calibration, support=support).save("models/calibration.json")
    long = ("Some burglar kicks the green door.", "Some burglar kick the green door.")
    rows, printed = label([long, *NEW])
    assert changes(rows) == {*NEW} == {*server.answered}
    assert "1 outside support" in printed


def test_where_nothing_is_left_the_reasons_are_told_and_nobody_is_asked(label, server):
    with pytest.raises(SystemExit) as error:
        label(OTHERS)
    assert str(error.value).startswith("error: rewrites.jsonl: nothing to label; 1 several edits, 1 no edit, ")
    with pytest.raises(SystemExit, match=r"rewrites\.jsonl: nothing to label; none"):
        label([])
    assert server.requests == []


def test_one_loop_from_rewrites_to_a_model_that_has_learnt_from_them(trained_project, server):
    """Rewrites, labels, a corpus beside the sample, and the pipeline over both."""
    folder = trained_project.folder
    held_out = {split: read_parquet(folder / f"data/pairs/{split}.parquet") for split in ("validation", "test")}
    reversed_ = [[(pair["after"], pair["before"]) for pair in pairs] for pairs in held_out.values()]
    leaking = [change for its in reversed_ for change in single_edits(its)[0][:5]]
    for name, its in (("rewrites", [*NEW, *leaking]), ("labelled", NEW)):
        rows = [dict(zip(("src", "hyp"), change, strict=True)) for change in its]
        (folder / f"../{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    asked = {"base_url": server.url, "model": server.model, "api_key_env": "null"}
    trained_project.override(**{f"llm.{name}": value for name, value in asked.items()})
    columns = "--before-column src --after-column hyp"
    printed = trained_project.run(f"python -m fluency label ../rewrites.jsonl -o ../judged {columns}")
    assert "10 like what is evaluated on" in printed
    assert "../judged: 5 edits, " in printed
    trained_project.override(
        **{"data.source": "[sample,path:../judged]", "pairs.max_train_samples": "null"},
        **{"train.per_device_train_batch_size": "128"},
    )
    printed = trained_project.run("dvc repro calibrate")
    assert "path:../judged: 5 rows, 0 rejected" in printed
    splits = {split: read_parquet(folder / f"data/pairs/{split}.parquet") for split in ("train", "validation", "test")}
    learnt = [pair for pair in splits["train"] if pair["corpus"] == "judged"]
    assert {(pair["before"], pair["after"]): pair["label"] for pair in learnt} == {
        change: int(said(change)["verdict"] == "fluent") for change in NEW
    }
    groups = {pair["group"] for pair in learnt}
    assert not any(pair["group"] in groups for split in held_out for pair in splits[split])
    again = trained_project.run(f"python -m fluency label ../labelled.jsonl -o ../again {columns}", fails=True)
    assert again.endswith("nothing to label; 5 trained on already\n")
