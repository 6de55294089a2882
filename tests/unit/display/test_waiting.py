"""How a run that waits for its turn is shown."""

from __future__ import annotations

import pytest
from tests.support.jobs import EU, US, spec
from tests.support.scripted import started

from beacon_cli import events as ev
from beacon_cli.display.picture import render
from beacon_cli.display.plain import Telling
from beacon_cli.plan import Plan
from beacon_cli.results import Standings, fold

WAITS = ev.TurnAwaited(at=5.0, region="eu", position=2, reason="other jobs come first", starts_at=65.0)


def waiting(*events: ev.Event) -> Standings:
    """A run in two regions, after these events."""
    return fold([started(Plan(spec(regions=(US, EU)))), *events])


def picture(standings: Standings, now: float, width: int) -> str:
    """The lines of the picture."""
    return "\n".join(line.plain for line in render(standings, now, width))


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_picture_says_place_expected_start_and_what_for(width: int) -> None:
    """The expected start counts down as time goes by; nothing of it is cut."""
    standings = waiting(WAITS)
    assert "number 2 in the queue, in about 1:00" in picture(standings, 5.0, width)
    assert "number 2 in the queue, in about 0:20" in picture(standings, 45.0, width)
    assert "number 2 in the queue, in about 0:00" in picture(standings, 99.0, width)
    assert "other jobs come first" in picture(standings, 5.0, width)


@pytest.mark.parametrize("width", [80, 160])
def test_a_turn_that_comes_takes_the_words_away(width: int) -> None:
    """Once the region works, nothing is said of the queue any more."""
    shown = picture(waiting(WAITS, ev.RegionStarted(at=9.0, region="eu", waited=4.0)), 9.0, width)
    assert "in the queue" not in shown
    assert "other jobs" not in shown


def test_plain_lines_say_the_same() -> None:
    """A line each time that the place or the reason changes; a lost turn says why, and whether it goes on."""
    telling, standings = Telling(), waiting(WAITS)
    (line,) = telling.lines(WAITS, standings)
    assert "eu: waiting, number 2 in the queue, starts in about 1:00 (other jobs come first)" in line
    unknown = ev.TurnAwaited(at=5.0, region="eu", position=0, reason="the store is away")
    (line,) = telling.lines(unknown, standings)
    assert "eu: waiting, not in the queue yet (the store is away)" in line
    lost = ev.TurnLost(at=6.0, region="eu", reason="cancelled by bob\x1b[2J", final=True)
    (line,) = telling.lines(lost, standings)
    assert "eu: STOPPED: cancelled by bob\\x1b[2J" in line
    (line,) = telling.lines(ev.TurnLost(at=6.0, region="eu", reason="lost"), standings)
    assert "what is left waits for another turn" in line
