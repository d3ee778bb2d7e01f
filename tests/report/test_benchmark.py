"""The benchmark of evaluation runs from calibration to the page in a browser; here it is a small one."""

from benchmarks import evaluation
from fluency.utils.files import read_json


def test_the_benchmark_of_evaluation_runs(tmp_path, monkeypatch):
    for name, value in (("PAIRS", 3000), ("RESAMPLES", 100), ("RESULT", tmp_path / "evaluation.json")):
        monkeypatch.setattr(evaluation, name, value)
    evaluation.main()
    assert {"calibration", "figures", "report"} <= read_json(tmp_path / "evaluation.json")["seconds"].keys()
