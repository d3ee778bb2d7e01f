"""The report holds every edit as text, needs no network, and can be looked through in a real browser, by anybody."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import expect

from fluency.corpus.challenge import Challenge
from fluency.evaluation.calibration import Calibration
from fluency.evaluation.certificate import Certificate, certified_curve
from fluency.evaluation.challenge import challenge_figures
from fluency.evaluation.params import EvaluateParams
from fluency.evaluation.scored_pairs import ScoredPairs, figures
from fluency.evaluation.slices import slices
from fluency.report.page import Entry, write_report
from tests.helpers.models import REFERENCE, SUPPORT

SECTIONS = ("failures", "thresholds", "comparisons", "figures", "slices", "curves")
PARAMS = EvaluateParams(resamples=100, seed=1)
HOSTILE = (
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "</del>", "<!--", "javascript:alert(1)",
    "{{edits}}", "a\u2028b", "\u202eabc", "👩‍👩‍👧", "&lt;b&gt;", "\x00", "שלום עולם",
)  # fmt: skip

EDITS = [Challenge(("a", "b c"), role, kind) for role in ("absurd", "mistake", "repair") for kind in ("<b>", "article")]
CHALLENGE = challenge_figures([*EDITS, Challenge(("a b c d e", "a"), "keeping", "tense")], np.linspace(0, 1, 7) >= 0.5)


def pair(row: int, label: int, removed: str = "go", inserted: str = "goes") -> dict:
    before = f"She {removed} home, number {row}."
    return {
        "id": f"id{row:04}", "group": str(row // 2), "label": label, "before": before,
        "after": before.replace(removed, inserted, 1), "edit_start": 4, "edit_end": 4 + len(removed),
        "removed": removed, "inserted": inserted, "edit_type": "replace",
        "kind": ("agreement", "article")[row % 3 == 0], "part": ("hand-written", "rule-made")[row % 2],
        "corpus": "sample",
    }  # fmt: skip


def entry(name: str, pairs: list[dict], scores: np.ndarray, threshold: float = 0.5) -> Entry:
    scored = ScoredPairs(pairs, scores, threshold)
    return Entry(name, scored, figures(scored, PARAMS))


def calibration(model: Entry) -> Calibration:
    """As if the test pairs were validation's."""
    its = model.scored
    groups = np.array([pair["group"] for pair in its.pairs])
    curve = certified_curve(its.scores, its.labels, groups, confidence=0.95, named=its.threshold)
    certificate = Certificate("precision", None, 0.95, 0.0, len(groups))
    return Calibration(1.0, 0.0, its.threshold, certificate, curve, 128, {}, SUPPORT, REFERENCE)


NONSENSE = {"edits": 200, "accepted": 3, "outside_support": 117, "rate": 0.015, "rate_low": 0.0031, "rate_high": 0.043}


def write(path: Path, count: int = 120, texts: tuple[str, ...] = ()) -> list[dict]:
    pairs = [pair(row, row // 2 % 2) for row in range(count)]
    pairs += [pair(count + row, row % 2, text, f"{text}!") for row, text in enumerate(texts)]
    scores = np.random.default_rng(0).random(len(pairs)).round(6)
    model, other = entry("model", pairs, scores), entry("baseline", pairs[5:], 1 - scores[5:])
    picture = path.with_suffix(".png")
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    write_report(
        path, [model, other], PARAMS, calibration=calibration(model), slices=slices(model.scored, set()),
        challenge=CHALLENGE, attack={"left_open": NONSENSE}, pictures={"a & b": picture},
    )  # fmt: skip
    return pairs


def embedded(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_same_pairs_give_the_same_page(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / f"{name}.html", texts=HOSTILE)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_the_page_asks_nothing_of_a_network(tmp_path):
    write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_the_challenge_set_is_told_by_what_the_edits_do_and_by_kind(tmp_path):
    write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    failures, every = (page.partition(f'id="{name}"')[2].partition("<section")[0] for name in ("failures", "slices"))
    assert failures.index("absurd edits, to be refused") < failures.index("mistakes mended, to be accepted")
    assert "to 8 words" in failures
    assert "&lt;b&gt;" not in failures
    assert "&lt;b&gt;" in every


def test_what_nonsense_gets_through_is_told_by_its_kind(tmp_path):
    write(tmp_path / "page.html")
    failures = (tmp_path / "page.html").read_text(encoding="utf-8").partition('id="failures"')[2].partition("<sec")[0]
    row = failures.partition("Left open")[2].partition("</tr>")[0]
    assert [number in row for number in (">200<", ">3<", ">117<", "0.015")] == [True] * 4


def test_the_answer_comes_first_then_where_it_fails_then_thresholds_and_the_edits_last(tmp_path):
    write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    order = ['aria-label="Contents"', "Not certified", *(f'<section id="{name}"' for name in SECTIONS), 'id="edits"']
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    thresholds = page.partition('id="thresholds"')[2].partition("<section")[0]
    assert "0.50000 (in\u00a0use)" in thresholds
    assert "Accepted of 1,000" in thresholds
    assert "95 %" not in page.partition("<script")[0]  # only with a space that never ends a line


@given(st.lists(st.sampled_from(HOSTILE) | st.text(min_size=1), min_size=1, max_size=5))
def test_the_page_holds_every_edit_whatever_is_in_it(tmp_path_factory, texts):
    path = tmp_path_factory.getbasetemp() / "hostile.html"
    pairs = write(path, count=6, texts=tuple(texts))
    page = path.read_text(encoding="utf-8")
    assert page.count("</script") == 2
    data = embedded(page)
    assert data["before"] == [pair["before"] for pair in pairs]
    assert data["inserted"] == [pair["inserted"] for pair in pairs]
    units = [text.encode("utf-16-le", "surrogatepass") for text in data["before"]]
    removed = [text[2 * a : 2 * b] for text, a, b in zip(units, data["start"], data["end"], strict=True)]
    assert removed == [pair["removed"].encode("utf-16-le", "surrogatepass") for pair in pairs]
    assert data["scores"][1][:5] == [None] * 5  # the other judge has none of these


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens a report; whatever the browser complains of, asks the network for or pops up fails the test."""
    path, complaints = tmp_path / "report.html", []
    write(path, texts=HOSTILE)
    pages = []

    def open_(address: str = "", **options):
        page = chromium.new_page(**options)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: complaints.append(request.url) if "file:" not in request.url[:5] else None)
        page.goto(f"file://{path}{address}")
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.close()
    assert [text for text in complaints if not text.startswith("data:")] == []


def test_false_positives_come_first_and_the_surest_of_them(opened):
    page = opened()
    outcomes = page.locator("td[data-title=Outcome]").all_inner_texts()
    assert len(outcomes) == 50
    assert "false positive" in outcomes[0]
    scores = [
        float(text.split()[0])
        for text, outcome in zip(page.locator("td[data-title='Model score']").all_inner_texts(), outcomes, strict=True)
        if "false positive" in outcome
    ]
    assert scores == sorted(scores, reverse=True)
    assert page.get_by_role("status").inner_text() == "132 of 132 edits, 1 to 50 shown"


def test_the_surest_wrong_accepts_stand_where_it_fails(opened):
    page = opened()
    listed = page.locator("#failures li .sentence").all_inner_texts()
    assert len(listed) == 10
    assert listed == page.locator(".edits .sentence").all_inner_texts()[:10]


def test_hostile_text_is_shown_as_text(opened):
    page = opened()
    for text in ("<script>alert(1)</script>", "</del>", "javascript:alert(1)"):
        page.get_by_role("searchbox").fill(text)
        expect(page.locator(".edits tbody del").first).to_have_text(f"[removed: {text}]")
    assert page.locator("img[src=x], .edits tbody script").count() == 0


def test_edits_are_filtered_sorted_paged_and_the_address_keeps_the_view(opened):
    page = opened()
    page.get_by_label("Kind").select_option("article")
    page.get_by_role("radio", name=re.compile("True negative")).check()
    page.wait_for_url(re.compile("article.*"))
    expect(page.locator("td[data-title=Outcome]").first).to_have_text("✓ true negative")
    assert set(page.locator("td[data-title=Kind]").all_inner_texts()) == {"article"}
    assert set(page.locator("td[data-title=Outcome]").all_inner_texts()) == {"✓ true negative"}
    count = page.get_by_role("status").inner_text()
    page.get_by_role("columnheader", name="Model score").get_by_role("button").click()
    scores = [float(text.split()[0]) for text in page.locator("td[data-title='Model score']").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    assert page.get_by_role("columnheader", name="Model score").get_attribute("aria-sort") == "descending"

    again = opened(page.url.partition(".html")[2])
    assert again.get_by_role("status").inner_text() == count
    assert again.get_by_label("Kind").input_value() == "article"

    again.get_by_label("Highest score").fill("0.25")
    expect(again.get_by_role("status")).not_to_have_text(count)
    shown = again.locator("td[data-title='Model score']").all_inner_texts()
    assert 0 < len(shown) < len(scores)
    assert max(float(text.split()[0]) for text in shown) <= 0.25

    again.get_by_role("button", name="Show all").click()
    expect(again.get_by_role("status")).to_have_text("132 of 132 edits, 1 to 50 shown")
    again.get_by_role("button", name="Last").click()
    assert again.locator("#page").inner_text() == "Page 3 of 3"
    assert again.locator(".edits tbody tr").count() == 32


def test_a_keyboard_and_a_screen_reader_are_enough(opened):
    page = opened()
    page.get_by_role("searchbox", name="Words in the sentence, or an id").focus()
    page.keyboard.type("id0007")
    expect(page.get_by_role("status")).to_have_text("1 of 132 edits, 1 to 1 shown")
    heard = page.locator(".edits .sentence").text_content()
    assert heard == "She [removed: go][inserted: goes] home, number 7."
    page.get_by_role("button", name="Outcome").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("columnheader", name="Outcome").get_attribute("aria-sort") == "descending"
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select, button')].filter(control => !control.labels?.length"
        " && !control.textContent.trim() && !control.ariaLabel).length"
    )
    assert unnamed == 0
    assert page.get_by_role("img", name="Plot: a & b").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(opened, scheme):
    page = opened(viewport={"width": 375, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('.sentence')).fontSize)") >= 15


BROKEN = """() => {
  const found = [], range = document.createRange();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    if (text.parentElement.closest(".sentence, .id, script")) continue;
    for (const word of text.data.matchAll(/[^\\s]+/g)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(its => Math.round(its.top))).size > 1) found.push(word[0]);
    }
  }
  for (const cell of document.querySelectorAll(".figures td, .figures td small")) {
    for (const text of cell.childNodes) {
      range.selectNodeContents(text);
      const lines = text.nodeType === Node.TEXT_NODE ? range.getClientRects() : [];
      if (new Set([...lines].map(its => Math.round(its.top))).size > 1) found.push(text.data);
    }
  }
  return [...found, ...[...document.querySelectorAll(".wide")].filter(its => its.scrollWidth > its.clientWidth)];
}"""


@pytest.mark.parametrize("width", [390, 1280, 1600])
def test_no_word_and_no_figure_is_broken_across_lines_or_needs_scrolling(opened, width):
    """A figure is a number or an interval, such as 0.738 to 0.797."""
    assert opened(viewport={"width": width, "height": 900}).evaluate(BROKEN) == []


def test_the_links_lead_a_keyboard_to_the_edits_within_two_screens(opened):
    page = opened(viewport={"width": 390, "height": 844})
    link = page.get_by_role("navigation", name="Contents").get_by_role("link", name="Every test edit")
    assert link.bounding_box()["y"] < 844
    for _ in range(len(SECTIONS) + 1):
        page.keyboard.press("Tab")
    assert link.evaluate("its => its === document.activeElement")
    page.keyboard.press("Enter")
    expect(page.locator("#edits-title")).to_be_in_viewport()
    assert page.locator(".edits tbody tr").first.bounding_box()["y"] < 2 * 844


def test_a_page_of_one_judge_and_one_outcome_works(chromium, tmp_path):
    one = entry("model", [pair(0, 1)], np.array([0.9]))
    write_report(
        tmp_path / "one.html",
        [one],
        PARAMS,
        calibration=calibration(one),
        slices=[],
        challenge={},
        attack={},
        pictures={},
    )
    page = chromium.new_page()
    page.goto(f"file://{tmp_path}/one.html")
    assert page.get_by_role("status").inner_text() == "1 of 1 edits, 1 to 1 shown"
    page.get_by_role("radio", name=re.compile("False positive")).check()
    expect(page.get_by_role("status")).to_have_text("0 of 1 edits")
    assert page.locator(".none").is_visible()
    page.close()


@pytest.mark.parametrize("width", [375, 1200])
def test_a_third_judge_of_a_long_name_fits_in_too(chromium, tmp_path, width):
    pairs = [pair(row, row // 2 % 2) for row in range(40)]
    scores = np.random.default_rng(0).random(40)
    names = ("model", "baseline", "some-organisation/Some-Model-3.1-70B-Instruct")
    path = tmp_path / "three.html"
    entries = [entry(name, pairs, scores) for name in names]
    more = {"calibration": calibration(entries[0]), "slices": [], "challenge": {}, "attack": {}, "pictures": {}}
    write_report(path, entries, PARAMS, **more)
    page = chromium.new_page(viewport={"width": width, "height": 800})
    page.goto(f"file://{path}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
