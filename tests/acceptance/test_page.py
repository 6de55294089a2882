"""The page of a report in a real browser: quiet, alone, usable, accessible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from tests.support import chromium
from tests.support.chromium import Watched
from tests.support.reports import hostile, small, written

from beacon_cli.evidence.findings import Findings

ColorScheme: TypeAlias = Literal["light", "dark"]
WIDTHS = {"phone": 320, "tablet": 768, "desk": 1280}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of this file."""
    with chromium.browser() as started:
        yield started


def opened(
    browser: Browser, findings: Findings, folder: Path, width: int = 1280, scheme: ColorScheme = "light"
) -> Watched:
    """The findings' page in a tab of this width."""
    file = folder / "report.html"
    file.write_text(written(findings), encoding="utf-8")
    return Watched(browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme), file)


@pytest.mark.parametrize("findings", [small, hostile], ids=["small", "hostile"])
def test_it_loads_alone_and_without_a_word(
    browser: Browser, findings: Callable[[], Findings], tmp_path: Path
) -> None:
    """No request but for the file itself, nothing in the console, and no hostile answer ran or drew anything."""
    seen = opened(browser, findings(), tmp_path)
    assert (seen.beside_itself, seen.complaints) == ([], [])
    assert seen.page.evaluate("window.hit") is None
    assert seen.page.locator("#answers img, #answers iframe, #answers script, #answers svg[onload]").count() == 0


def test_a_hostile_answer_stays_text(browser: Browser, tmp_path: Path) -> None:
    """What an answer says is read as it was sent, tags and all."""
    seen = opened(browser, hostile(), tmp_path)
    assert "<script>window.hit=1</script>" in seen.page.locator("#answers").inner_text(timeout=10_000)


def test_the_filters_show_what_they_say(browser: Browser, tmp_path: Path) -> None:
    """Question, model and reading leave the answers that fit, alone and together; Clear brings all back."""
    seen = opened(browser, small(job={"models": ("m", "n")}), tmp_path)
    page, count = seen.page, seen.page.locator("#count")
    assert count.inner_text() == "192 of 192 answers"
    page.select_option("#reading", "refusal")
    assert count.inner_text() == "32 of 192 answers"
    assert page.locator("article[data-k=substantive]:visible").count() == 0
    page.select_option("#model", label="n")
    assert count.inner_text() == "16 of 192 answers"
    page.select_option("#question", label="q0")
    assert count.inner_text() == "4 of 192 answers"
    assert page.locator("details.q:visible").count() == 1
    page.click("#clear")
    assert count.inner_text() == "192 of 192 answers"
    page.click("#close")
    assert page.locator("article[data-k]:visible").count() == 0
    page.click("#open")
    assert page.locator("article[data-k]:visible").count() > 0
    assert page.locator("ins:visible, del:visible").count() > 0
    page.uncheck("#marks")
    assert page.locator("del:visible").count() == 0
    assert seen.complaints == []


def test_a_question_of_the_heat_map_leads_to_its_answers(browser: Browser, tmp_path: Path) -> None:
    """With the keyboard alone: the link is reached, followed, and the folded answers are open."""
    seen = opened(browser, small(), tmp_path)
    seen.page.click("#close")
    seen.page.locator("table.heat tbody a").nth(3).focus()
    seen.page.keyboard.press("Enter")
    assert seen.page.locator("details.q[open]").count() == 1
    assert seen.page.locator("#q4").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_no_width_needs_scrolling_sideways(
    browser: Browser, width: int, scheme: ColorScheme, tmp_path: Path
) -> None:
    """From 320 pixels on the page is no wider than the screen; only tables scroll, each by itself."""
    for findings in (small(), hostile()):
        seen = opened(browser, findings, tmp_path, width, scheme)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_everybody(browser: Browser, scheme: ColorScheme, tmp_path: Path) -> None:
    """Axe finds nothing of any weight: contrast, headings, landmarks, tables, names, keyboard."""
    seen = opened(browser, small(rehearsal=True), tmp_path, 1280, scheme)
    found = Axe().run(seen.page, options={"resultTypes": ["violations"]}).response["violations"]
    weighty = [
        (each["id"], each["nodes"][0]["html"][:200])
        for each in found
        if each["impact"] in {"serious", "critical", "moderate"}
    ]
    assert weighty == []


def test_without_its_script_every_answer_is_there(browser: Browser, tmp_path: Path) -> None:
    """Filters are not shown, and nothing is missing."""
    file = tmp_path / "report.html"
    file.write_text(written(small()), encoding="utf-8")
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(file.as_uri())
    assert not page.locator("#filters").is_visible()
    assert page.locator("article[data-k]").count() == 96


def test_it_prints(browser: Browser, tmp_path: Path) -> None:
    """On paper the filters are gone and the watermark is on every page."""
    seen = opened(browser, small(rehearsal=True), tmp_path)
    assert seen.page.pdf(format="A4").startswith(b"%PDF")
    seen.page.emulate_media(media="print")
    assert not seen.page.locator("#filters").is_visible()
    assert seen.page.locator(".made-up").evaluate("each => getComputedStyle(each).position") == "fixed"


def test_no_column_is_lost_on_paper(browser: Browser, tmp_path: Path) -> None:
    """Nothing scrolls on paper: with all folds open the tables are no wider than what browsers shrink onto A4."""
    for findings in (small(), small(rehearsal=True)):
        page = opened(browser, findings, tmp_path, 718).page
        page.emulate_media(media="print")
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1000
