"""A run's account: what calls without an answer took, and what was kept warm, is within the most that is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from tests.support.journals import PLAN, attempt_started, call_placed, failed, start, succeeded

from beacon_cli import events as ev
from beacon_cli.model import ErrorKind, Failed, Succeeded, TimedOut
from beacon_cli.timings.accounts import Account

FIRST = next(iter(PLAN.executions()))
CELL: dict[str, Any] = {"region": FIRST.region.id, "model": FIRST.model.id}
LIMIT = PLAN.spec.limits.timeout
SECONDS = {"boot": 30.0, "load": 10.0, "queue": 0.0, "generation": 4.0}


def told(events: Iterable[ev.Event]) -> Account:
    """The account of these events."""
    found = Account()
    for event in events:
        found.apply(event)
    return found


def lost(events: Iterable[ev.Event]) -> float:
    """The seconds that calls without an answer took, by these events."""
    return sum(usage.failed for usage in told(events).costs.usages.values())


def resumed(at: float, **changes: Any) -> ev.RunResumed:
    """Another process goes on."""
    values = {"run_id": "r1", "spec": PLAN.spec, "planned": PLAN.planned, "beacon": "test", "speed": 1.0}
    return ev.RunResumed(at=at, **{**values, **changes})


def warming(at: float) -> ev.Warming:
    """The container is being woken."""
    return ev.Warming(at=at, call_id="fc-w", **CELL)


def test_a_waking_that_fails_may_have_cost_all_that_it_took() -> None:
    """Also up to the time limit: a container that is starting is paid for."""
    failure = Failed(kind=ErrorKind.PLATFORM, message="no", transient=True)
    over = ev.WarmingFailed(at=LIMIT + 1.0, seconds=LIMIT, call_id="fc-w", failure=failure, **CELL)
    assert lost([start(), warming(1.0), over]) == LIMIT


@pytest.mark.parametrize(("back", "most"), [(41.0, 40.0), (1e6, LIMIT)])
def test_a_waking_that_a_crash_cut_off_costs_until_somebody_goes_on(back: float, most: float) -> None:
    """Nobody saw its end: it took as long as until the next process ended it, and at most the time limit."""
    assert lost([start(), warming(1.0), resumed(back)]) == most


def test_a_call_that_is_taken_up_again_and_fails_counts_from_its_beginning() -> None:
    """What passed before the crash was paid for as well."""
    again = ev.CallReattached(at=100.0, execution=FIRST.id, attempt=1, call_id="fc-1")
    events: list[ev.Event] = [start(), attempt_started(FIRST, at=1.0), call_placed(FIRST), resumed(99.0), again]
    assert lost([*events, failed(FIRST, at=121.0)]) == 120.0


def test_a_call_that_is_taken_up_again_and_answers_is_counted_once() -> None:
    """The answer's own seconds are what it cost."""
    again = ev.CallReattached(at=100.0, execution=FIRST.id, attempt=1, call_id="fc-1")
    answer = succeeded(
        FIRST, at=101.0, container="c", cold_start=True, provenance={"gpu": "T4", "seconds": SECONDS}
    )
    account = told([start(), attempt_started(FIRST), call_placed(FIRST), resumed(99.0), again, answer])
    (usage,) = account.costs.usages.values()
    assert (usage.known, usage.failed, account.losses.unsettled) == (44.0, 0.0, 0)


def test_a_call_that_is_gone_after_a_crash_is_counted_up_to_the_time_limit() -> None:
    """Its execution is asked again: what the first try took nobody saw."""
    events: list[ev.Event] = [start(), attempt_started(FIRST, at=1.0), call_placed(FIRST), resumed(1e6)]
    assert lost([*events, attempt_started(FIRST, 2, at=1e6 + 1.0)]) == LIMIT


def test_failures_count_before_their_execution_has_ended() -> None:
    """A run that was stopped between two tries has paid for the first."""
    retried = ev.AttemptFailed(
        at=31.0,
        execution=FIRST.id,
        attempt=1,
        seconds=30.0,
        failure=Failed(kind=ErrorKind.PLATFORM, message="no", transient=True),
        retry_in=5.0,
    )
    assert lost([start(), attempt_started(FIRST, at=1.0), call_placed(FIRST), retried]) == 30.0


def test_what_waited_for_money_and_was_never_placed_costs_nothing() -> None:
    """Neither where the run is stopped, nor where its process dies."""
    waits: list[ev.Event] = [start(), attempt_started(FIRST, at=1.0)]
    stopped = ev.AttemptCancelled(at=50.0, execution=FIRST.id, attempt=1, call_id=None, ended=True)
    assert lost([*waits, stopped]) == 0.0
    assert lost([*waits, resumed(99.0), attempt_started(FIRST, 2, at=100.0)]) == 0.0


def test_calls_of_which_no_end_is_known_are_told() -> None:
    """A journal that ends in the midst of calls says how many, and what they can have taken at most."""
    losses = told([start(), warming(1.0), attempt_started(FIRST), call_placed(FIRST)]).losses
    assert (losses.unsettled, losses.unsettled_seconds) == (2, 2 * LIMIT)


def test_a_turn_that_keeps_its_containers_pays_for_them_to_its_end() -> None:
    """From the region's start to its end, however long nothing is asked of them; a crash leaves them kept."""
    began = msgspec.structs.replace(start(), keep_warm=True)
    turn = ev.RegionStarted(at=0.0, region=FIRST.region.id, waited=0.0)
    said = {"gpu": "T4", "seconds": {**SECONDS, "boot": 0.0, "load": 0.0}}
    warmed = ev.Warmed(
        at=46.0,
        seconds=10.0,
        call_id="fc-w",
        answer=Succeeded(response="", container="c", cold_start=False, provenance=said),
        **CELL,
    )
    events: list[ev.Event] = [began, turn, warmed]
    assert told(events).costs.kept == {FIRST.region.id}
    costs = told([*events, ev.RegionFinished(at=1_046.0, region=FIRST.region.id)]).costs
    (usage,) = costs.usages.values()
    assert (usage.before, sum(costs.tail(300.0).values()), costs.kept) == (42.0, 1_000.0, frozenset())


def test_each_call_that_took_too_long_may_leave_a_container_behind() -> None:
    """It may hang in a container that serves nobody else: a window for each."""
    late = [
        ev.AttemptFailed(
            at=10.0 * number,
            execution=FIRST.id,
            attempt=number,
            seconds=9.0,
            failure=TimedOut(after=9.0),
            retry_in=0.0,
        )
        for number in (1, 2)
    ]
    tries = [attempt_started(FIRST, number, at=10.0 * number - 9.0) for number in (1, 2)]
    costs = told([start(), tries[0], late[0], tries[1], late[1]]).costs
    assert sum(costs.tail(300.0).values()) == 600.0
