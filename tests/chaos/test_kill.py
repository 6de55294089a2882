"""`kill -9`: what was paid for is kept, what nobody waits for is ended."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.support.chaos import (
    EXECUTIONS,
    House,
    Left,
    Record,
    Told,
    at_size,
    dice,
    draws,
    ended,
    left,
    stop,
    until,
)

from beacon_cli.tickets import POISON

pytestmark = pytest.mark.timeout(300)

_JOURNAL = 75_000
"""Bytes of a journal of 72 executions, or nearly so: where in it a kill falls is drawn from these."""
_REFUSED = 5
REGIONS = ("us", "eu", "asia")


@draws(6, 300)
def test_every_execution_is_recorded_once(house: House, told: Told, draw: int) -> None:
    """After kills at random points, each execution has one record; known calls are not made anew.

    However many there are, the queue sets the run aside only where three of them had nothing done between.
    """
    rng = dice("kill", draw)
    house.write_job(["Why?"] * 8, schedule=rng.choice(["lockstep", "lanes"]))
    kills, run_id = _killed_and_resumed(house, [rng.random() for _ in range(rng.choice([1, 2, 3, 4, 5]))])
    records = house.records(run_id)
    executions = house.executions(run_id)
    placed = house.provider.placed(executions)
    told(
        "kill -9, then resume to the end",
        kills=len(kills),
        calls_in_flight=sum(len(each.calls) for each in kills),
        intents_without_an_id=sum(len(each.intents) for each in kills),
        executed_twice=sum(placed.values()) - EXECUTIONS,
    )
    succeeded = Counter(record["execution"] for record in records if record["event"] == "attempt_succeeded")
    assert len(succeeded) == EXECUTIONS, f"{len(succeeded)} answers"
    assert set(succeeded.values()) == {1}
    rows = house.results(run_id)
    assert {row["execution_id"] for row in rows} == set(succeeded)
    assert [row["status"] for row in rows] == ["succeeded"] * EXECUTIONS
    for execution in executions:
        intents = sum(execution in each.intents for each in kills)
        assert placed[execution] <= 1 + intents, f"{execution}: asked again although its call was known"
    reattached = Counter(record["call_id"] for record in records if record["event"] == "call_reattached")
    assert not {call for each in kills for call in each.calls.values()} - set(reattached)
    until(lambda: not house.provider.alive(executions), "calls end by themselves")


@draws(2, 50)
def test_reap_ends_what_a_kill_left(house: House, told: Told, draw: int) -> None:
    """After a kill, `beacon reap` ends every call whose id was on disk and says how many more there may be."""
    rng = dice("reap", draw)
    stuck = rng.randrange(8)
    house.write_job(["It hangs" if n == stuck else "Why?" for n in range(8)], schedule="lanes")
    process = house.start("run", "job.yaml", "--run-id", "r", "--quiet")
    at_size(process, house.journal("r"), int(rng.random() * _JOURNAL * (stuck + 1) / 8 * 0.9))
    until(lambda: house.records("r") != [], "the run has begun")
    stop(process)
    ended(process)
    open_then = left(house.records("r"))
    told("kill -9, then reap", calls=len(open_then.calls), intents_without_an_id=len(open_then.intents))
    listed = house.beacon("reap", "r", "--dry-run")
    assert all(call in listed.out for call in open_then.calls.values()), listed.out
    reaped = house.beacon("reap", "r")
    assert reaped.code == 0, reaped.err
    executions = house.executions("r")
    assert not house.provider.alive(executions) & set(open_then.calls.values())
    unknown = house.provider.alive(executions)
    assert len(unknown) <= len(open_then.intents)
    assert house.beacon("reap", "r").code == 0


def _killed_and_resumed(house: House, points: list[float]) -> tuple[list[Left], str]:
    """Kill the run and then its resumptions at these points of their journal, then let one come to its end."""
    kills: list[Left] = []
    done: list[Counter[str]] = []
    run_id = "r"
    arguments = ["run", "job.yaml", "--run-id", run_id]
    for point in points:
        journal = house.journal(run_id)
        begun = journal.stat().st_size if journal.exists() else 0
        process = house.start(*arguments, "--quiet")
        if not at_size(process, journal, int(begun + point * (_JOURNAL - begun))):
            break
        stop(process)
        ended(process)
        if left_open := house.records(run_id):
            kills.append(left(left_open))
            done.append(_done(left_open))
            arguments = ["resume", run_id]
        else:
            run_id += "r"
            arguments = ["run", "job.yaml", "--run-id", run_id]
    last = house.beacon(*arguments, "--quiet")
    if last.code == _REFUSED:
        assert "is set aside in region" in last.err
        assert any(done[-1][region] == done[-POISON][region] and region in last.err for region in REGIONS), done
        assert house.beacon("queue", "release", run_id).code == 0
        last = house.beacon(*arguments, "--quiet")
    assert last.code == 0, last.err
    return kills, run_id


def _done(records: list[Record]) -> Counter[str]:
    """How many executions of each region came to their ends."""
    regions = {each["execution"]: each["region"] for each in records if each["event"] == "attempt_started"}
    return Counter(regions[each["execution"]] for each in records if each["event"] == "attempt_succeeded")
