"""Clocks that are wrong, jump or run at another rate cost nobody a turn, and no cap is broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support import skewed
from tests.support.chaos import Told, count
from tests.support.contest import Contest

pytestmark = pytest.mark.timeout(180)

_SKEWS = {
    "an hour ahead": "3600,1,0,0",
    "an hour behind": "-3600,1,0,0",
    "a jump back": "0,1,-3600,1.5",
    "a jump ahead": "0,1,3600,1.5",
    "a tenth too fast": "0,1.1,0,0",
    "a tenth too slow": "0,0.9,0,0",
}


@pytest.mark.parametrize("skew", [*_SKEWS][:: 1 if count(0, 1) else 3])
def test_a_clock_that_is_wrong_costs_no_turn(contest: Contest, told: Told, skew: str) -> None:
    """One of three runs has a wrong clock: all come to their ends, no turn is lost, no cap broken."""
    told("one of three clocks wrong")
    site = contest.folder / "site"
    site.mkdir()
    shutil.copy(Path(skewed.__file__), site / "sitecustomize.py")
    for name in ("a", "b", "c"):
        contest.job(name)
    bent = {"PYTHONPATH": str(site), "BEACON_SKEW": _SKEWS[skew]}
    contest.start_anew("b", "run", "b.yaml", "--run-id", "b", "--quiet", environment=bent)
    for name in ("a", "c"):
        contest.begin(name)
    contest.finish()
    contest.verify()
    begun = {name: contest.told(name, "run_started")[0]["at"] for name in ("a", "b")}
    assert abs(begun["b"] - begun["a"] - float(_SKEWS[skew].split(",")[0])) < 30, "its clock is as wrong as asked"
    assert not any(contest.told(name, "turn_lost") for name in ("a", "b", "c"))
    lives = [each.seconds for line in contest.look().regions.values() for each in line.services]
    assert len(lives) == 9
    assert all(0 < seconds < 60 for seconds in lives), lives
