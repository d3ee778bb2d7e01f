"""How long 100,000 predictions take to calibrate and evaluate, intervals, plots, report and all, and how much memory.

Run as `python -m benchmarks.evaluation`; writes benchmarks/evaluation.json. Where there is a Chromium, also how long it
takes to load the report and to look through it.
"""

import re
import resource
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fluency.evaluation.calibration import Calibration, calibrate
from fluency.evaluation.intervals import resampled
from fluency.evaluation.params import DecisionParams, EvaluateParams
from fluency.evaluation.scored_pairs import ScoredPairs, figures
from fluency.evaluation.slices import slices
from fluency.report.page import Entry, write_report
from fluency.report.pictures import write_pictures
from fluency.report.plot_data import write_plots
from fluency.utils.files import write_json

PAIRS, RESAMPLES = 100_000, 2_000
RESULT = Path(__file__).with_suffix(".json")


def main() -> None:
    rng = np.random.default_rng(0)
    pairs = [_pair(row, rng) for row in range(PAIRS)]
    labels, groups = (np.array([pair[name] for pair in pairs]) for name in ("label", "group"))
    logits = np.column_stack([np.zeros(PAIRS), rng.normal(4 * labels - 2, 2)])
    decision, params = DecisionParams(0.8, None, None, None), EvaluateParams(RESAMPLES, 1)
    seconds: dict[str, float] = {}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        calibration = _timed(seconds, "calibration", _calibrated, pairs, logits, labels, groups, decision)
        scores = calibration.scores(logits)
        scored = ScoredPairs(pairs, scores, calibration.threshold)
        entries = [Entry("model", scored, _timed(seconds, "figures", figures, scored, params))]
        entries.append(Entry("baseline", ScoredPairs(pairs, rng.random(PAIRS), 0.7), entries[0].figures))
        by_slice = _timed(seconds, "slices", slices, scored, set())
        plots = _timed(seconds, "plots", write_plots, folder, scored, scores, by_slice)
        pictures = _timed(seconds, "pictures", write_pictures, folder / "pictures", plots)
        page = folder / "report.html"
        more = {"calibration": calibration, "slices": by_slice, "challenge": {}, "attack": {}, "pictures": pictures}
        _timed(seconds, "report", write_report, page, entries, params, **more)
        result = {
            "pairs": PAIRS,
            "resamples": RESAMPLES,
            "seconds": seconds | {"all": round(sum(seconds.values()), 1)},
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "report_mb": round(page.stat().st_size / 2**20, 1),
            "intervals_in_a_loop_times_as_long": _loop_ratio(scored, params),
            "browser_seconds": _in_browser(page),
        }
    write_json(RESULT, result)
    print(RESULT.read_text(encoding="utf-8"), end="")


def _pair(row: int, rng: np.random.Generator) -> dict[str, Any]:
    words = [f"word{number}" for number in rng.integers(0, 5000, rng.integers(5, 35))]
    place = int(rng.integers(0, len(words)))
    start = sum(len(word) + 1 for word in words[:place])
    before, label = " ".join(words), int(rng.integers(0, 2))
    kind, part = (f"{name}{rng.integers(0, count)}" for name, count in (("kind", 20), ("part", 3)))
    return {
        "id": f"{row:016x}", "group": f"{row // 2:016x}", "before": before, "label": label, "edit_start": start,
        "after": " ".join([*words[:place], "other", *words[place + 1 :]]), "edit_end": start + len(words[place]),
        "removed": words[place], "inserted": "other", "edit_type": "replace", "kind": kind, "part": part,
        "corpus": "made",
    }  # fmt: skip


def _calibrated(
    pairs: list[dict[str, Any]], logits: np.ndarray, labels: np.ndarray, groups: np.ndarray, decision: DecisionParams
) -> Calibration:
    changes = [(pair["before"], pair["after"]) for pair in pairs]
    return calibrate(logits, labels, groups, decision, max_length=512, files={}, changes=changes)[0]


def _timed(seconds: dict[str, float], name: str, call: Any, *arguments: Any, **options: Any) -> Any:
    start = time.perf_counter()
    value = call(*arguments, **options)
    seconds[name] = round(time.perf_counter() - start, 1)
    return value


def _loop_ratio(scored: ScoredPairs, params: EvaluateParams) -> float:
    """One resample written out (drawing the groups, scikit-learn's metrics) against one of the vectorised ones."""
    groups, labels = np.array([pair["group"] for pair in scored.pairs]), scored.labels
    rows = {group: np.flatnonzero(groups == group) for group in groups[:4000:2]}
    inside = np.concatenate(list(rows.values()))
    names, scores, labels = groups[inside], scored.scores[inside], labels[inside]
    start = time.perf_counter()
    draws = resampled(scores, labels, names, accepted=scores > 0.7, resamples=params.resamples, seed=1)
    ours = (time.perf_counter() - start) / len(draws["precision"])
    by_group = [np.flatnonzero(names == group) for group in rows]
    start = time.perf_counter()
    for seed in range(5):
        drawn = np.random.default_rng(seed).integers(len(by_group), size=len(by_group))
        some = np.concatenate([by_group[group] for group in drawn])
        ScoredPairs([{"label": label} for label in labels[some]], scores[some], 0.7).points()
    return round((time.perf_counter() - start) / 5 / ours)


def _in_browser(page: Path) -> dict[str, float]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        return {}
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab, seconds = browser.new_page(), {}
        _timed(seconds, "load", tab.goto, f"file://{page}")
        status = tab.get_by_role("status")

        def search() -> None:
            tab.get_by_role("searchbox").fill("word4321")
            expect(status).not_to_have_text(re.compile(f"^{PAIRS:,} of"))

        _timed(seconds, "search", search)
        _timed(seconds, "sort", tab.get_by_role("columnheader", name="Model score").get_by_role("button").click)
        browser.close()
    return seconds


if __name__ == "__main__":
    main()
