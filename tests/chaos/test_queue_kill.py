"""`kill -9` among runs that share one queue: nothing leaks, no cap is broken, whoever waits goes on in time."""

from __future__ import annotations

import time

import pytest
from tests.support.chaos import Told, dice, draws, stop, until
from tests.support.contest import Contest

pytestmark = pytest.mark.timeout(300)


def test_three_runs_share_the_gpus(contest: Contest, told: Told) -> None:
    """Without any failure: three jobs at once keep the caps, and each region serves them in one order."""
    told("three jobs at once")
    began = time.monotonic()
    for name in ("a", "b", "c"):
        contest.job(name)
        contest.begin(name)
    contest.finish()
    print(time.monotonic() - began, contest.verify())
