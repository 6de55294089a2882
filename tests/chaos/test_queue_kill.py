"""`kill -9` among runs that share one queue: nothing leaks, no cap is broken, whoever waits goes on in time."""

from __future__ import annotations

import random
import time

import pytest
from tests.support.chaos import Told, dice, draws, ended, stop, until
from tests.support.contest import Contest, pause

from beacon_cli.tickets import POISON, LogKind

pytestmark = pytest.mark.timeout(300)

_SLACK = 3.0
"""Seconds that two busy cores may take to start, to look and to grant."""
_KILLS = 4


def test_three_runs_share_the_gpus(contest: Contest, told: Told) -> None:
    """Without any failure: three jobs at once keep the caps, and each region serves them in one order."""
    told("three jobs at once")
    for name in ("a", "b", "c"):
        contest.job(name)
        contest.begin(name)
    contest.finish()
    assert contest.verify()["us"] == 3


@draws(2, 75)
def test_a_dead_holder_s_gpus_come_back(contest: Contest, told: Told, draw: int) -> None:
    """Killed at random points: who waits has the turn within a lease and a beat; no cap broken, nothing left."""
    rng = dice("queue kill", draw)
    names = ["a", "b", "c"]
    for name in names:
        contest.job(name, schedule=rng.choice(["lockstep", "lanes"]))
        contest.begin(name)
    waits: list[float] = []
    lost = dict.fromkeys(names, 0)
    kills = 0
    while kills < _KILLS:
        victim = _some_holder(contest, rng, [name for name in names if lost[name] < POISON - 1])
        if victim is None:
            break
        held = _killed(contest, victim)
        kills += 1
        lost[victim] += 1
        if rng.random() < 0.5:
            for region in held:
                waits.extend(_regained(contest, region, victim))
        contest.resume(victim)
    contest.finish()
    contest.verify()
    assert contest.store.set_aside() == {}
    told(
        "kill -9 of a process that holds turns",
        runs=kills,
        regions_waited_for=len(waits),
        ms_waited_in_all=int(sum(waits) * 1000),
        waits_over_two_leases=sum(wait > 2 * contest.lease for wait in waits),
    )
    assert max(waits, default=0.0) < contest.lease * 1.2 + _SLACK


def _some_holder(contest: Contest, rng: random.Random, names: list[str]) -> str | None:
    """A run that has a turn, somewhere within it; None: all runs come to their ends."""
    while any(process.poll() is None for process in contest.processes.values()):
        pause(rng.random() * 0.5)
        holders = sorted(set(contest.holding().values()) & set(names))
        alive = [name for name in holders if contest.processes[name].poll() is None]
        if alive:
            return rng.choice(alive)
        if not names:
            return None
    return None


def _killed(contest: Contest, victim: str) -> list[str]:
    """Kill a run; gives the regions in which it had its turn then."""
    stop(contest.processes[victim])
    ended(contest.processes[victim])
    return [region for region, run in contest.holding().items() if run == victim]


def _regained(contest: Contest, region: str, victim: str) -> list[float]:
    """Seconds until another run has a dead one's turn in a region, if one waits there."""
    began = time.time()
    if not [run for run in contest.waiting(region) if run != victim]:
        return []

    def granted() -> bool:
        return any(
            entry.kind in {LogKind.GRANTED, LogKind.INHERITED}
            and entry.region == region
            and entry.run_id != victim
            and entry.at >= began
            for entry in contest.store.log()
        )

    return [until(granted, f"{region} is free again", seconds=20)]
