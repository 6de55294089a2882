from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from tests.support.reports import MARKUP, hostile, small, written
from tests.support.stories import found, job, row, story

from beacon_cli.evidence.findings import Findings
from beacon_cli.report import beside
from beacon_cli.report.script import SCRIPT
from beacon_cli.report.style import STYLE

VOID = {"meta", "input", "rect"}


class Outline(HTMLParser):
    """Holds a page to its own tags: which there are, that they close, their ids and what they refer to."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag and its attributes."""
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in {"href", "src"} and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It closes what was opened last."""
        if tag not in VOID:
            assert self.open.pop() == tag


# fmt: off
TAGS = {
    "a", "article", "aside",
    "b", "body", "button", "caption", "code", "dd", "del", "details", "div", "dl", "dt", "h1",
    "h2", "h3", "h4", "h5", "head", "header", "html", "input", "ins", "label", "li", "main", "meta", "nav",
    "option", "p", "pre", "rect", "script", "section", "select", "span", "strong", "style", "summary", "svg",
    "table", "tbody", "td", "th", "thead", "title", "tr", "ul",
}
# fmt: on


def outline(findings: Findings) -> Outline:
    """The page's, checked: every tag is known and closed, every link leads to a place on the page."""
    read = Outline(written(findings))
    assert not read.open
    assert read.tags <= TAGS
    assert len(read.ids) == len(set(read.ids))
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)
    assert not any(name.startswith("on") or name in {"style", "src"} for name in read.names)
    return read


def test_the_page_is_whole_and_leads_nowhere_else() -> None:
    """All tags close, all links lead to a place on the page, no attribute is a style or a handler."""
    assert outline(small()).links


def test_hostile_answers_add_no_markup() -> None:
    """Answers, names and errors that are markup make no tag, no attribute and no link of their own."""
    page = written(hostile())
    outline(hostile())
    assert page.count("<script") == page.count("<style") == 1
    assert all(text not in page for text in MARKUP[:6])


def test_the_policy_allows_the_pages_own_style_and_script_alone() -> None:
    """`default-src 'none'`, and the hashes are those of what stands on the page."""
    page = written(small())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    said = policy[1].replace("&#39;", "'")
    assert said.startswith("default-src 'none'; ")
    for inline in (STYLE, SCRIPT):
        assert inline in page
        assert base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode() in said
    assert "unsafe" not in said
    assert "http" not in said


def test_the_same_findings_give_the_same_bytes() -> None:
    """Twice the same rows, in another order, give the same page."""
    spec = job()
    rows = story(spec, asia=0.5)
    assert written(found(rows, spec)) == written(found(rows[::-1], spec))


def test_the_fourteen_points_are_on_the_page() -> None:
    """Design and hash, survivors, prompts, sampling, what answered, provenance, noise, effects, controls, gaps."""
    findings = small(job={"system_prompt": "Be brief."})
    page = written(findings)
    for said in (
        findings.design.hash,
        "What became of what was planned",
        findings.prompts[0].sha256[:16],
        "Be brief.",
        "Sampling: ",
        "im-1",
        "asked asia, reported ap-northeast-1 (confirmed)",
        "container ta-m-us-1, cold",
        "Noise floor",
        "smallest gap found in 80 of 100",
        "Wilson 95 %",
        "control questions",
        "The region axis of m is NOT clean",
        "Difference for m, a regional difference",
        "Largest gaps",
        "beacon report run",
    ):
        assert said in page, said


def test_the_words_regional_difference_need_parity() -> None:
    """Where the image differs too, nothing on the page calls a difference regional."""
    spec = job()
    rows = story(spec, asia=0.5)
    for each in rows:
        each["provenance"] = {**each["provenance"], "image": f"im-{each['region']}"}
    page = written(found(rows, spec))
    assert "difference between deployments" in page
    assert "regional difference" not in page


def test_words_that_differ_are_marked() -> None:
    """An answer that differs by a word from the first region's has the word marked."""
    spec = job(questions=1, starts=1)
    rows = [
        row("us", "q0", 1, "It is an old city."),
        row("eu", "q0", 1, "It is a new city."),
        row("asia", "q0", 1),
    ]
    page = written(found(rows, spec))
    assert "It is <del>an old</del><ins>a new</ins> city." in page


def test_long_answers_are_cut_with_a_note_and_short_ones_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is cut at one length for all; a note counts it and says where the whole is."""
    monkeypatch.setattr(beside, "MOST_BYTES", 1_000)
    spec = job(questions=2, starts=1)
    rows = [
        row(region, f"q{n}", 1, "Short." if n else "long <" * 900) for region in ("us", "eu") for n in range(2)
    ]
    page = written(found(rows, spec))
    assert page.count("Short.") == 2
    assert "2 answers cut at 494 bytes" in page
    assert "… cut, 5,400 characters in all" in page
    assert "beacon export run --format jsonl" in page


def test_answers_beyond_the_most_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page holds so many answers; of the rest it says where they are."""
    monkeypatch.setattr(beside, "MOST_ANSWERS", 30)
    page = written(small())
    assert "The first 24 of 96 answers are on this page" in page
    assert page.count("<article data-k") == 24


def test_a_rehearsal_is_watermarked() -> None:
    """Title, banner and verdict say that all of it is made up; the banner is there on paper too."""
    page = written(small(rehearsal=True))
    assert "<title>REHEARSAL: beacon report: job</title>" in page
    assert (
        '<aside class="made-up" aria-label="Rehearsal">REHEARSAL: every answer on this page is made up</aside>'
        in page
    )
    assert "difference, rehearsal" in page


def test_scripts_from_right_to_left_and_their_language_are_kept() -> None:
    """An answer's box takes its direction from its text and names its language."""
    spec = job(questions=1, starts=1)
    page = written(found([row("us", "q0", 1, "مرحبا בעולם 你好"), row("eu", "q0", 1, "Hello.")], spec))
    assert '<div class="t" dir="auto" lang="en">مرحبا בעולם 你好</div>' in page
