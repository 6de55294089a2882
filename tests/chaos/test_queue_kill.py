"""`kill -9` among runs that share one queue: nothing leaks, no cap is broken, whoever waits goes on in time."""

from __future__ import annotations

import random
import time

import pytest
from tests.support.chaos import Told, dice, draws, ended, stop, until
from tests.support.contest import Contest, pause

from beacon_cli.tickets import POISON, LogEntry, LogKind

pytestmark = pytest.mark.timeout(300)

_SLACK = 5.0
"""Seconds that two busy cores may take to start, to look, to end the dead one's calls and to grant."""
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
        killed, awaited = time.time(), _killed(contest, victim)
        kills += 1
        lost[victim] += 1
        if rng.random() < 0.5:
            waits.extend(_regained(contest, region, victim) - killed for region in awaited)
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
    """Kill a run; gives the regions in which it had its turn then and another run waited."""
    stop(contest.processes[victim])
    ended(contest.processes[victim])
    held = [region for region, run in contest.holding().items() if run == victim]
    return [region for region in held if set(contest.waiting(region)) - {victim}]


def _regained(contest: Contest, region: str, victim: str) -> float:
    """When (by the log) another run got the turn that the dead one had; waits for it."""
    tokens = [each.token for each in contest.store.log() if _is_turn(each, region) and each.run_id == victim]

    def turns() -> list[float]:
        log = contest.store.log()
        return [each.at for each in log if _is_turn(each, region) and each.token > tokens[-1]]

    until(lambda: bool(turns()), f"{region} is free again", seconds=20)
    return turns()[0]


def _is_turn(entry: LogEntry, region: str) -> bool:
    return entry.kind in {LogKind.GRANTED, LogKind.INHERITED} and entry.region == region and entry.token > 0
