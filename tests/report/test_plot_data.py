"""Plots and pictures are of the pairs they say, and the same bytes each time."""

import csv
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from fluency.evaluation.scored_pairs import ScoredPairs
from fluency.evaluation.slices import sentence_keys, slices
from fluency.report.pictures import training_curves, write_pictures
from fluency.report.plot_data import write_plots
from tests.evaluation.test_scored_pairs import pair, scored

NAMES = {"precision_recall", "roc", "reliability", "histogram", "confusion", "slices"}


def draw(folder: Path, its: ScoredPairs) -> None:
    by_slice = slices(its, sentence_keys([]))
    data = write_plots(folder / "plots", its, its.scores**2, by_slice)
    for name in ("training", "validation"):
        (folder / f"plots/{name}.csv").write_text("step,loss,precision\n1,0.7,0.5\n2,0.6,0.6\n")
    write_pictures(folder / "pictures", data | training_curves(folder / "plots"))


def test_plots_and_pictures_are_the_same_each_time(tmp_path):
    for folder in ("one", "two"):
        draw(tmp_path / folder, scored())
    written = {path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*")}
    assert {path.stem for path in written if path.suffix == ".csv"} == NAMES | {"training", "validation"}
    assert {path.stem for path in written if path.suffix == ".png"} == NAMES | {"training"}
    for path in written:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


def test_the_operating_point_lies_where_the_figures_say(tmp_path):
    its = scored()
    draw(tmp_path, its)
    point = its.points()
    for name, columns in (("precision_recall", ("recall", "precision")), ("roc", ("recall",))):
        rows = list(csv.DictReader((tmp_path / f"plots/{name}.csv").open()))
        (drawn,) = [row for row in rows if row["series"] == "operating point"]
        for column in columns:
            assert float(drawn[column]) == pytest.approx(point[f"operating_point.{column}"], rel=1e-5)


def test_the_histogram_and_the_decisions_count_every_pair(tmp_path):
    draw(tmp_path, scored())
    rows = list(csv.DictReader((tmp_path / "plots/histogram.csv").open()))
    assert sum(int(row["pairs"]) for row in rows) == 40
    assert (tmp_path / "plots/confusion.csv").read_text().count("\n") == 41


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_alone_can_be_drawn(tmp_path, label):
    draw(tmp_path, ScoredPairs([pair(row, label) for row in range(4)], np.full(4, 0.5), 0.5))
    assert (tmp_path / "pictures/roc.png").stat().st_size > 1000


@pytest.mark.parametrize("command", ["dvc plots show", "dvc plots diff HEAD"])
def test_dvcs_page_of_plots_needs_no_network(new_project, chromium, command):
    project = new_project()
    project.run(command)
    asked, page = [], chromium.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{project.folder}/dvc_plots/index.html")
    expect(page.locator(".vega-embed canvas, .vega-embed svg.marks")).to_have_count(8)
    assert page.locator("img").count() >= 7
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
