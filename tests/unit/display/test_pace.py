from __future__ import annotations

import pytest
from tests.unit.display.streams import BEGIN, Plot, played, resumed, stream

from beacon_cli.display.pace import left
from beacon_cli.results import Standings


def test_nothing_is_known_before_each_model_has_answered_twice() -> None:
    """Cold starts say nothing of the pace: until a full round after them the end is unknown."""
    assert left(Standings(), 0.0) == 0.0
    assert left(played(Plot(), 20), BEGIN + 20) is None
    assert left(played(Plot(), 50), BEGIN + 50) is None


def test_the_estimate_comes_true() -> None:
    """From the third round on, the estimate is right to a quarter of the rest, or to one question."""
    plot = Plot(regions=("us",), questions=tuple(f"q{number}" for number in range(40)))
    events = list(stream(plot))
    end = events[-1].at
    standings, checked = Standings(), 0
    for event in events:
        standings.apply(event)
        rest = left(standings, event.at)
        if standings.regions["us"].paced >= 6:
            assert rest == pytest.approx(end - event.at, rel=0.25, abs=6)
            checked += 1
    assert checked > 100


def test_a_resumed_run_finds_its_pace_anew() -> None:
    """The hour in which nothing ran is not taken for slowness."""
    standings, known = Standings(), 0
    events = list(resumed(Plot(), 150))
    for event in events:
        standings.apply(event)
        rest = left(standings, event.at)
        if standings.began_at > BEGIN and rest is not None:
            assert rest < 120
            known += 1
    assert known > 30


def test_the_slowest_region_decides() -> None:
    """The estimate of the whole is not below that of any region."""
    standings = played(Plot(), 130)
    alone = []
    for region in standings.regions:
        one = played(Plot(), 130)
        one.regions = {region: one.regions[region]}
        rest = left(one, BEGIN + 130)
        assert rest is not None
        alone.append(rest)
    assert left(standings, BEGIN + 130) == max(alone)


def test_nothing_is_left_at_the_end() -> None:
    """A finished run, and one whose regions were all given up, takes no more time."""
    assert left(played(Plot()), BEGIN) == 0.0
    assert left(played(Plot(dead=Plot().regions)), BEGIN) == 0.0


def test_the_estimate_is_never_negative() -> None:
    """However long nothing comes, the rest is not below zero."""
    rest = left(played(Plot(), 130), BEGIN + 99_999)
    assert rest is not None
    assert rest >= 0
