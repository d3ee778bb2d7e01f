"""The judge's pipeline as users run it, on a server on loopback: killed, resumed, compared, never run by chance."""

import json
import re
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fluency.utils.files import write_parquet
from tests.conftest import Project
from tests.helpers.chat import PRICES, ChatServer, cut, drop, said, status, tokens

JUDGE = "dvc repro stages/llm_judge/dvc.yaml"
LOCAL = {"NO_PROXY": "127.0.0.1"}


def overrides(server: ChatServer, **more: object) -> dict[str, str]:
    its = {"splits": "[test]", "base_url": server.url, "model": server.model, "api_key_env": "null", **PRICES, **more}
    return {"evaluate.resamples": "100"} | {f"llm.{key}": str(value) for key, value in its.items()}


def read_json(project: Project, name: str):
    return json.loads((project.folder / name).read_text(encoding="utf-8"))


def pairs(count: int) -> list[dict]:
    return [
        {"id": f"id{n}", "group": str(n), "before": f"She go home {n}.", "after": f"She goes home {n}.",
         "label": n % 2, "part": ("one", "other")[n % 3 == 0]}
        for n in range(count)
    ]  # fmt: skip


@pytest.fixture
def scored(tmp_path):
    """Makes a project that has test pairs, and nothing else that a pipeline would have made."""

    def make(count: int, params: dict[str, str]) -> Project:
        project = Project.new(tmp_path / "project", params)
        table = pairs(count)
        write_parquet(project.folder / "data/pairs/test.parquet", table, pa.Table.from_pylist(table).schema)
        return project

    return make


def test_a_thousand_pairs_with_faults_and_two_kills_are_each_answered_once(scored):
    changes = [(pair["before"], pair["after"]) for pair in pairs(1000)]
    faults = [*(status(code, retry_after_ms="5") for code in (429, 500, 503)), drop, cut]
    faulty = {change: [faults[n % 5]] for n, change in enumerate(changes[::10])}  # 10 %
    garbled = set(changes[5::100])
    with ChatServer() as server:
        server.faults = lambda change: faulty.get(change, [])
        server.content = lambda change: "Hard to say." if change in garbled else json.dumps(said(change))
        project = scored(1000, overrides(server, concurrency=8))
        for kill_at in (300, 650):
            reached = threading.Event()
            server.on_answer = lambda at=kill_at, event=reached: server.answered.total() >= at and event.set()
            process = project.start("exec python -m stages.llm_judge", **LOCAL)
            while not reached.wait(timeout=0.2):
                assert process.poll() is None, process.communicate()[0]
            process.kill()
            process.communicate()
            assert not (project.folder / "results").exists()
        printed = project.run("python -m stages.llm_judge", **LOCAL)
        requests = len(server.requests)
        project.run("python -m stages.llm_judge", **LOCAL)
        assert len(server.requests) == requests  # what is finished costs nothing

    # Every answer is kept once; only those under way at a kill were given twice.
    (path,) = (project.folder / ".answers").iterdir()
    kept = [json.loads(line) for line in path.read_bytes().splitlines() if line.endswith(b"}")]
    assert len(kept) == len({record["change"] for record in kept}) == 1000
    assert set(server.answered) == set(changes)
    assert sum(server.answered.values()) - 1000 <= 2 * 8
    assert all(len(faulty[change]) < server.tried[change] for change in faulty)

    predictions = pq.read_table(project.folder / "results/llm.parquet").to_pylist()
    expected = {pair["id"]: said(change)["probability"] for pair, change in zip(pairs(1000), changes, strict=True)}
    garbled_ids = {f"id{n}" for n in range(5, 1000, 100)}
    assert {row["id"]: row["score"] for row in predictions} == {
        id_: score for id_, score in expected.items() if id_ not in garbled_ids
    }
    answers = {row["id"]: row for row in pq.read_table(project.folder / "results/llm_answers.parquet").to_pylist()}
    assert {id_ for id_, row in answers.items() if row["outcome"] == "unparsed"} == garbled_ids
    assert {answers[id_]["text"] for id_ in garbled_ids} == {"Hard to say."}
    counts = read_json(project, "metrics/llm.json")["answers"]
    tokens_in, tokens_out = (sum(column) for column in zip(*map(tokens, changes), strict=True))
    assert counts["cost"] == pytest.approx((tokens_in * 100 + tokens_out * 400) / 1e6)
    assert counts == counts | {
        "pairs": 1000, "asked": 1000, "answered": 990, "unparsed": 10, "failed": 0, "unasked": 0, "from_cache": 1000,
        "tokens_in": tokens_in, "tokens_out": tokens_out, "without_tokens": 0,
    }  # fmt: skip
    assert "answered: 990, unparsed: 10" in printed


def test_the_judge_has_a_pipeline_of_its_own_and_is_compared_with_the_model(trained_project):
    project = trained_project
    with ChatServer(key="sk-secret") as server:
        project.override(**overrides(server, api_key_env="JUDGE_KEY", splits="[]"))
        project.run("dvc repro --all-pipelines")
        project.commit("results")
        assert "Data and pipelines are up to date" in project.run("dvc status")
        assert "llm" not in project.run("dvc metrics show && dvc metrics diff")
        printed = project.run("python -m stages.llm_judge", fails=True)
        assert printed == "error: llm.splits: names no split to ask about; [test] asks, and may cost money\n"

        project.override(**{"llm.splits": "[test]"})
        printed = project.run(JUDGE, fails=True)
        assert "error: llm.api_key_env: JUDGE_KEY is not set; export it with the key for http://127.0.0.1" in printed
        assert "Traceback" not in printed
        assert server.requests == []

        project.run(JUDGE, JUDGE_KEY="sk-secret", **LOCAL)
        assert len(server.requests) == 40
        report = project.folder / "results/report_with_judge.html"
        made = report.read_text(encoding="utf-8")
        project.run("grep -r --exclude-dir=tests sk-secret .", fails=True)
        report.unlink()  # judging anew takes each answer from the disk, and needs no key; comparing anew judges nothing
        printed = project.run(f"{JUDGE.replace('repro', 'repro --force --single-item')}:judge && {JUDGE}")
        assert "Stage 'stages/llm_judge/dvc.yaml:judge@test' didn't change, skipping" in printed
        assert len(server.requests) == 40
        assert report.read_text(encoding="utf-8") == made
        assert "Data and pipelines are up to date" in project.run("dvc status")

    figures = read_json(project, "metrics/llm.json")
    assert set(figures) == set(read_json(project, "metrics/baseline.json")["words_alone"]) | {"answers"}
    assert figures["operating_point"]["threshold"] == 0.5
    assert figures["examples"] == figures["answers"]["answered"] == figures["answers"]["from_cache"] == 40
    model, judge = (pq.read_table(project.folder / f"results/{name}.parquet") for name in ("predictions", "llm"))
    assert judge.schema == model.schema
    assert judge["id"].to_pylist() == model["id"].to_pylist()
    comparison = (project.folder / "results/llm_comparison.md").read_text(encoding="utf-8")
    assert comparison.startswith(
        "judge-1 on the test pairs: 40 answered, 0 unparsed, 0 failed, 0 unasked.\n\n40 pairs. "
    )
    assert "Differences are model less judge-1" in comparison
    assert "sign test" in comparison
    assert re.search(r">model</th>\s*<th[^>]*>words alone</th>\s*<th[^>]*>judge-1</th>", made)
    assert "model and judge-1 on the 40 pairs that both answered" in made


def test_another_model_is_an_experiment_with_the_judge_alone(new_project):
    with ChatServer() as server:
        project = new_project(overrides(server, splits="[]"))
        named = JUDGE.replace("repro", "exp run -S 'llm.splits=[test]'")
        project.run(f"{named}:judge", **LOCAL)  # needs the pairs, and no model
        assert not (project.folder / "models").exists()
        project.commit("scored")
        server.model = "judge-2"
        server.content = lambda change: json.dumps({"verdict": "fluent"})
        project.run(f"{JUDGE.replace('repro', 'exp run -S llm.model=judge-2')}:judge", **LOCAL)
    assert len(server.requests) == 80
    assert read_json(project, "metrics/llm.json")["operating_point"]["recall"] == 1
    assert "operating_point.recall" in project.run("dvc metrics diff")
    assert len(list((project.folder / ".answers").iterdir())) == 2


def test_a_judge_that_says_nothing_useful_leaves_nothing_behind(scored):
    with ChatServer(content=lambda change: "Hm.") as server:
        project = scored(10, overrides(server))
        printed = project.run("python -m stages.llm_judge", fails=True, **LOCAL)
    assert printed.splitlines()[-1] == (
        "error: llm.model: no answer of judge-1 has a verdict; of 10 pairs: no JSON object with a verdict"
    )
    assert not (project.folder / "results").exists()
    assert not (project.folder / "metrics/llm.json").exists()
    assert len(next((project.folder / ".answers").iterdir()).read_bytes().splitlines()) == 10  # they were paid for


def test_what_was_left_out_is_told(scored):
    changes = [(pair["before"], pair["after"]) for pair in pairs(30)]
    with ChatServer(refuses=("seed",)) as server:
        server.faults = lambda change: [status(400, "content policy")] * 9 if change == changes[7] else []
        project = scored(30, overrides(server, max_calls=20))
        printed = project.run("python -m stages.llm_judge", **LOCAL)
    assert "asked without seed, which the server does not take" in printed
    assert len(pq.read_table(project.folder / "results/llm.parquet")) == 20
    counts = read_json(project, "metrics/llm.json")["answers"]
    assert (counts["answered"], counts["unasked"] + counts["failed"]) == (20, 10)
