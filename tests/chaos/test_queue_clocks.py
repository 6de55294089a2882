"""Clocks that are wrong, jump or run at another rate cost nobody a turn, and no cap is broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support import skewed
from tests.support.chaos import Told, is_full, until
from tests.support.contest import Contest

pytestmark = pytest.mark.timeout(180)

_SKEWS = {
    "an hour ahead": "3600,1,0",
    "an hour behind": "-3600,1,0",
    "a jump back": "0,1,-3600",
    "a jump ahead": "0,1,3600",
    "a tenth too fast": "0,1.1,0",
    "a tenth too slow": "0,0.9,0",
}


@pytest.mark.parametrize("skew", [*_SKEWS][:: 1 if is_full() else 3])
def test_a_clock_that_is_wrong_costs_no_turn(contest: Contest, told: Told, skew: str) -> None:
    """One of three runs has a wrong clock: all come to their ends, no turn is lost, no cap broken."""
    site = contest.folder / "site"
    site.mkdir()
    shutil.copy(Path(skewed.__file__), site / "sitecustomize.py")
    for name in ("a", "b", "c"):
        contest.job(name)
    bent = {"PYTHONPATH": str(site), "BEACON_SKEW": _SKEWS[skew]}
    contest.start_anew("b", "run", "b.yaml", "--run-id", "b", "--quiet", environment=bent)
    for name in ("a", "c"):
        contest.begin(name)
    until(lambda: "b" in contest.holding().values(), "it has a turn")
    (contest.folder / "jump").touch()
    contest.finish()
    contest.verify()
    ahead, _, jump = map(float, _SKEWS[skew].split(","))
    begun, begun_there = (contest.told(name, "run_started")[0]["at"] for name in ("a", "b"))
    ended_there = contest.told("b", "run_finished")[0]["at"]
    assert abs(begun_there - begun - ahead) < 30, "as wrong as asked"
    assert abs(ended_there - begun_there - jump) < 60, "it jumps within the run"
    told("one of three clocks wrong", jumps_within_the_run=int(jump != 0))
    assert not any(contest.told(name, "turn_lost") for name in ("a", "b", "c"))
    lives = [each.seconds for line in contest.look().regions.values() for each in line.services]
    assert len(lives) == 9
    assert all(0 < seconds < 60 for seconds in lives), lives
