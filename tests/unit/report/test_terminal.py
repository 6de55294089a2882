from __future__ import annotations

import io
import json

import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.support.reports import FRAME, TEXTS, hostile, small
from tests.support.stories import found, job, story

from beacon_cli.display.clean import clean
from beacon_cli.evidence.findings import Findings
from beacon_cli.report import document, markdown, terminal


def drawn(findings: Findings, width: int = 100) -> str:
    """The report as a terminal of this width has it."""
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)
    console.print(terminal.report(findings, FRAME, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_verdict_comes_first_at_every_width(width: int) -> None:
    """The verdict, the rates and the command that recomputes it are there, and no line is too long."""
    text = drawn(small(), width)
    joined = " ".join(text.split())
    assert joined.index("DIFFERENCE m") < joined.index("how the answers read") < joined.index("largest gaps")
    assert "a regional difference: refusals are 50 points more in asia than in" in joined
    assert "50.0 %" in joined
    assert "beacon report run" in joined
    assert max(cell_len(line) for line in text.splitlines()) <= width


def test_an_inconclusive_verdict_says_what_would_settle_it() -> None:
    """Three container starts tell nothing: the report says why, and what to ask for."""
    text = " ".join(drawn(small(job={"starts": 3})).split())
    assert "INCONCLUSIVE m" in text
    assert "it takes 4 to tell" in text
    assert "What would settle it: `design: {container_starts: 5}` or more" in text


def test_a_rehearsal_is_marked() -> None:
    """It is the first word, and a note says that the answers are made up."""
    text = drawn(small(rehearsal=True))
    assert text.lstrip().startswith("REHEARSAL")
    assert "every answer is made up" in text


def test_nothing_of_hostile_names_reaches_a_terminal() -> None:
    """No control character but the line end is in it, whatever models, questions and runs are called."""
    text = drawn(hostile(), 160)
    assert clean(text.replace("\n", "")) == text.replace("\n", "")


def test_the_document_has_the_verdicts_with_their_figures() -> None:
    """For programs: model, verdict, gap, interval, p, containers, tests and noise floor in one record each."""
    read = json.loads(document.document(small(), FRAME))
    (verdict,) = read["verdicts"]
    assert verdict["verdict"] == "difference"
    assert verdict["gap"] == pytest.approx(0.5)
    assert verdict["low"] <= verdict["gap"] <= verdict["high"]
    assert verdict["p_adjusted"] <= 0.05
    assert verdict["containers"] == {"us": 4, "eu": 4, "asia": 4}
    assert verdict["called"] == "regional difference"
    assert verdict["noise_floor"]["tar_answer"] == 1.0
    assert verdict["tests"] == 1
    assert read["sources"][0]["began_at"] == "2026-11-21T19:37:40.000Z"
    assert "answers" not in read


def test_the_document_takes_any_text() -> None:
    """Half characters in names are escapes of JSON; nothing is lost."""
    read = json.loads(document.document(hostile(), FRAME))
    assert {text[:200] for text in TEXTS if text} <= set(read["models"])


def test_markdown_has_the_verdicts_and_stays_text() -> None:
    """A step's summary says the verdict and the rates; a hostile name makes no markup."""
    text = markdown.summary(small())
    assert "- **difference**, m: Difference for m, a regional difference" in text
    assert "| asia | m | 16 | 0 | 16 | 0 | 0 | 0 | 0 | 50.0 %" in text
    bad = markdown.summary(hostile())
    assert "<script" not in bad
    assert "<img" not in bad
    assert len(bad.encode()) < 200_000


def test_a_hostile_region_heads_no_column_as_it_is() -> None:
    """The matrix of agreement has regions as headings: an escape in such a name does not reach the terminal."""
    rows = [each | {"region": f"\x1b[31m{each['region']}\u202e"} for each in story(job())]
    text = drawn(found(rows, None), 160)
    assert "agreement" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
