from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from tests.support.hostile import CORPUS
from tests.support.journals import PLAN, attempt_started, failed, start, whole

from beacon_cli import events as ev
from beacon_cli.exports import step
from beacon_cli.model import ErrorKind, Failed
from beacon_cli.operations import noting
from beacon_cli.results import Standings, fold

FIRST, SECOND = list(PLAN.executions())[:2]


def test_counts_failures_and_what_was_given_up() -> None:
    """A run's end: how many were answered, each region and its models, why one was given up, what failed."""
    given_up: list[ev.Event] = [
        ev.RegionGivenUp(at=9.0, region="eu", reason="three | in a row"),
        ev.RegionFinished(at=9.0, region="eu"),
    ]
    story: list[ev.Event] = [start(), *whole(FIRST), attempt_started(SECOND), failed(SECOND), *given_up]
    text = step.summary(fold([*story, ev.RunInterrupted(at=9.0, reason="SIGINT")]))
    assert text.startswith("### beacon: small\n\nRun r1: 1 of 8 executions answered.\nInterrupted: SIGINT.\n")
    assert "\neu was given up: three \\| in a row\n" in text
    assert "| **us** |  | 1 | 1 | 0 | 2 |\n|  | m1 | 1 | 0 |  | 0 |\n|  | m2 | 0 | 1 |  | 0 |\n" in text
    assert "| **eu** |  | 0 | 0 | 4 | 0 |\n" in text
    assert "| connection | us m2 q1: no route | 1 |\n" in text


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS.keys())
def test_hostile_errors_stay_text_and_short(text: str) -> None:
    """Whatever a provider said, the summary has no markup but its own and fits where GitHub shows it."""
    failure = Failed(kind=ErrorKind.MODEL, message=text, transient=False)
    end = ev.AttemptFailed(at=3.0, execution=FIRST.id, attempt=1, seconds=2.0, failure=failure, retry_in=None)
    reason = ev.RegionGivenUp(at=4.0, region="us", reason=text)
    found = step.summary(fold([start(), attempt_started(FIRST), end, reason]))
    inline = {child.type for token in MarkdownIt("gfm-like").parse(found) for child in token.children or []}
    assert inline <= {"text", "html_inline", "softbreak", "strong_open", "strong_close", "em_open", "em_close"}
    assert len(found.encode()) < 10_000


def test_a_run_that_never_began() -> None:
    """Nothing is said of it."""
    assert step.summary(Standings()) == ""


def test_the_note_goes_where_github_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is appended to the file that the variable names; what fails is said and raises nothing."""
    standings = fold([start(), *whole(FIRST)])
    noting.note(standings, {})
    noting.note(standings, {"GITHUB_STEP_SUMMARY": ""})
    page = tmp_path / "page.md"
    for _ in range(2):
        noting.note(standings, {"GITHUB_STEP_SUMMARY": str(page)})
    assert page.read_text(encoding="utf-8") == 2 * step.summary(standings)
    assert capsys.readouterr().err == ""
    noting.note(standings, {"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert "no summary was added" in capsys.readouterr().err
