"""A holder that was stopped and goes on: its turn is another's by then, and it knows before it asks anything."""

from __future__ import annotations

import signal

import pytest
from tests.support.chaos import Told, dice, draws, until
from tests.support.contest import Contest, pause

from beacon_cli.tickets import LogKind

pytestmark = pytest.mark.timeout(120)


@draws(6, 100)
def test_a_stalled_holder_takes_another_turn(contest: Contest, told: Told, draw: int) -> None:
    """Stopped for three leases: its token is void, its calls are ended, it goes on in another turn; caps hold."""
    rng = dice("stall", draw)
    contest.job("slow", ["Why?"] * 10, regions=["us"], schedule=rng.choice(["lockstep", "lanes"]))
    contest.job("next", ["Why?"] * 60, regions=["us"], models=["gemma-2", "phi-3", "yi-6b"])
    slow = contest.begin("slow")
    until(lambda: contest.holding().get("us") == "slow", "it has its turn")
    pause(rng.random() * 0.8)
    slow.send_signal(signal.SIGSTOP)
    token = _token(contest)
    contest.begin("next")
    pause(3 * contest.lease)
    until(lambda: contest.holding().get("us") == "next" or bool(contest.told("next", "run_finished")), "it is next")
    before = {each["call_id"] for each in contest.told("slow", "call_placed")}
    woken = len(contest.book.records())
    slow.send_signal(signal.SIGCONT)
    if token is not None:
        until(lambda: bool(contest.told("slow", "turn_lost")), "it has noticed")
    contest.finish()
    late = _late(contest, woken, before) if token is not None else 0
    contest.verify("slow", "next")
    told(
        "SIGSTOP for three leases, then SIGCONT",
        turns_lost=int(token is not None),
        calls_placed_late=late,
    )


def _token(contest: Contest) -> int | None:
    """The token of the turn in which it was stopped; None: it had just given it back."""
    line = contest.look().regions["us"]
    return next((each.token for each in line.active if each.run_id == "slow"), None)


def _late(contest: Contest, woken: int, before: set[str]) -> int:
    """How many calls it has placed on a turn that was not its own any more: ended by itself as soon as it knew."""
    log = list(contest.store.log())
    granted = [entry.at for entry in log if entry.kind is LogKind.GRANTED and entry.run_id == "slow"]
    executions = {each["execution"] for each in contest.told("slow", "attempt_started")}
    return sum(
        each["event"] == "placed" and each["execution"] in executions and each["at"] < granted[-1]
        for each in contest.book.records()[woken:]
    )
