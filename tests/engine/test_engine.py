from __future__ import annotations

from itertools import pairwise

import pytest
from tests.support import virtual
from tests.support.jobs import US, spec
from tests.support.scripted import Scripted, Told, answers, down, resumed, run

from beacon_cli import events as ev
from beacon_cli.counts import RegionState, State
from beacon_cli.errors import StoreError
from beacon_cli.model import (
    BreakerRule,
    Cancelled,
    ErrorKind,
    Execution,
    Failed,
    Limits,
    Model,
    Outcome,
    Region,
    RetryRule,
    Schedule,
    Succeeded,
)
from beacon_cli.plan import Plan
from beacon_cli.results import fold


def original_seconds(execution: Execution) -> float:
    """The original system's 3 to 5 s an answer, spread by the execution's id."""
    return 3.0 + 2.0 * int(execution.id[:4], 16) / 0xFFFF


@pytest.mark.parametrize("schedule", list(Schedule))
def test_the_users_job_takes_its_lower_bound(schedule: Schedule) -> None:
    """72 executions at the original system's timings end exactly at the schedule's bound."""
    job = spec(schedule=schedule)
    executor = Scripted(seconds=original_seconds)
    told = run(job, executor)
    assert told.standings.total("succeeded") == 72
    assert told.seconds == pytest.approx(Plan(job).lower_bound(original_seconds))


def test_never_over_the_limits() -> None:
    """Never over 10 in flight and never over 3 in a region, whatever the number of regions and models."""
    regions = tuple(Region(id=f"r{n}", app=f"r{n}", place="somewhere") for n in range(7))
    job = spec(regions=regions, models=tuple(Model(id=f"m{n}") for n in range(5)))
    executor = Scripted(seconds=original_seconds)
    told = run(job, executor)
    assert told.standings.total("succeeded") == 7 * 5 * 8
    assert executor.peak == 10
    assert set(executor.peak_by_region.values()) == {3}


def test_lockstep_keeps_questions_in_order() -> None:
    """In lockstep no model of a region begins a question before all have finished the one before."""
    executor = Scripted(seconds=original_seconds)
    run(spec(), executor)
    for region in ("us", "eu", "asia"):
        questions = [execution.question.id for _, execution, _ in executor.began if execution.region.id == region]
        assert questions == sorted(questions)


def test_lanes_go_on_alone() -> None:
    """In lanes each model asks one question at a time, in order, without waiting for the others."""
    executor = Scripted(seconds=lambda execution: 1.0 if execution.model.id == "mistral-7b" else 10.0)
    told = run(spec(schedule=Schedule.LANES), executor)
    for model, pace in (("mistral-7b", 1.0), ("llama3.2-1b", 10.0)):
        times = [at for at, ex, _ in executor.began if ex.model.id == model and ex.region.id == "us"]
        assert [later - sooner for sooner, later in pairwise(times)] == pytest.approx([pace] * 7)
    assert told.seconds == pytest.approx(80.0)


def test_a_dead_region_leaves_the_others_untouched() -> None:
    """Region eu answers nothing: the 48 executions of us and asia succeed, in the time that they take alone."""

    def script(execution: Execution, number: int) -> Outcome:
        return down() if execution.region.id == "eu" else answers(execution, number)

    executor = Scripted(script)
    standings = run(spec(), executor).standings
    assert (standings.regions["us"].succeeded, standings.regions["asia"].succeeded) == (24, 24)
    eu = standings.regions["eu"]
    assert (eu.state, eu.succeeded, eu.failed, eu.skipped) == (RegionState.GIVEN_UP, 0, 3, 21)
    assert "no route" in eu.reason
    alive = [at for at, execution, _ in executor.began if execution.region.id != "eu"]
    assert max(alive) == pytest.approx(7 * 4.0)


def test_transient_failures_are_retried_with_growing_waits() -> None:
    """Waits of 2, 4 and 8 s (full jitter at its longest) lie between the attempts, and the fourth succeeds."""

    def script(execution: Execution, number: int) -> Outcome:
        return answers(execution, number) if number == 4 else down()

    job = spec(regions=(US,), models=(Model(id="m"),), questions=spec().questions[:1])
    executor = Scripted(script, seconds=lambda _: 1.0)
    told = run(job, executor, rand=lambda: 1.0)
    times = [at for at, _, _ in executor.began]
    assert [later - sooner for sooner, later in pairwise(times)] == pytest.approx([3.0, 5.0, 9.0])
    assert told.standings.total("succeeded") == 1
    assert told.standings.total("retries") == 3


def test_what_cannot_succeed_is_tried_once() -> None:
    """A permanent failure gets exactly one attempt, and does not open the breaker."""
    refusal = Failed(kind=ErrorKind.BAD_REQUEST, message="no such argument", transient=False)
    executor = Scripted(lambda _execution, _number: refusal)
    told = run(spec(), executor)
    assert len(executor.began) == 72
    assert told.standings.total("failed") == 72
    assert told.of(ev.RegionGivenUp) == []


def test_credentials_that_are_refused_stop_the_region() -> None:
    """A key that expires in mid-run is refused for good: its region ends soon, and says what makes it go on."""
    expired = Failed(kind=ErrorKind.AUTH, message="401", transient=False)

    def script(execution: Execution, number: int) -> Outcome:
        return expired if execution.order >= 6 else answers(execution, number)

    job = spec(regions=(US,), limits=Limits(per_region=1), breaker=BreakerRule(failures=3))
    executor = Scripted(script)
    told = run(job, executor, backend=virtual.asyncio)
    assert len(executor.began) == 9
    (given_up,) = told.of(ev.RegionGivenUp)
    said = "3 executions in a row were refused for their credentials (renew them, then: beacon retry)"
    assert given_up.reason == f"{said}, the last one: 401"
    assert (told.standings.total("succeeded"), told.standings.total("failed")) == (6, 3)


def test_a_retry_gives_its_slot_back_and_keeps_its_place() -> None:
    """With one slot, a failed execution lets the next one in while it waits and goes before those after it."""

    def script(execution: Execution, number: int) -> Outcome:
        return down() if execution.model.id == "m0" and number == 1 else answers(execution, number)

    job = spec(
        regions=(US,),
        models=tuple(Model(id=f"m{n}") for n in range(4)),
        questions=spec().questions[:1],
        limits=Limits(per_region=1),
    )
    executor = Scripted(script)
    run(job, executor, rand=lambda: 1.0, backend=virtual.asyncio)
    assert [(execution.model.id, number) for _, execution, number in executor.began] == [
        ("m0", 1),
        ("m1", 1),
        ("m0", 2),
        ("m2", 1),
        ("m3", 1),
    ]


def test_the_breaker_counts_in_a_row() -> None:
    """A success in between starts the count anew: a region with every third execution lost goes on to its end."""

    def script(execution: Execution, number: int) -> Outcome:
        return down() if execution.order % 3 else answers(execution, number)

    job = spec(
        regions=(US,), retry=RetryRule(attempts=1), limits=Limits(per_region=1), breaker=BreakerRule(failures=3)
    )
    standings = run(job, Scripted(script), backend=virtual.asyncio).standings
    assert (standings.regions["us"].succeeded, standings.regions["us"].failed) == (8, 16)


def test_a_given_up_region_stops_its_waiting_retries() -> None:
    """Once a region is given up, nothing more is asked there and every execution is accounted for."""
    job = spec(schedule=Schedule.LANES, retry=RetryRule(attempts=2, first=1000.0, longest=1000.0))

    def script(execution: Execution, number: int) -> Outcome:
        if execution.region.id != "eu":
            return answers(execution, number)
        permanent = execution.model.id == "mistral-7b"
        return Failed(kind=ErrorKind.NOT_FOUND, message="gone", transient=not permanent)

    told = run(job, Scripted(script), rand=lambda: 1.0)
    eu = told.standings.regions["eu"]
    assert (eu.failed, eu.skipped, eu.succeeded) == (3, 21, 0)
    assert told.seconds < 1000
    given_up = told.events.index(told.of(ev.RegionGivenUp)[0])
    assert not [
        event
        for event in told.events[given_up:]
        if getattr(event, "region", "") == "eu" and isinstance(event, ev.AttemptStarted)
    ]


def test_a_timeout_ends_the_wait_and_cancels_the_call() -> None:
    """After `limits.timeout` the call is cancelled at the provider and the attempt counts as timed out."""
    job = spec(
        regions=(US,),
        models=(Model(id="m"),),
        questions=spec().questions[:1],
        limits=Limits(timeout=5.0),
        retry=RetryRule(attempts=2),
    )
    executor = Scripted(seconds=lambda _: 3600.0)
    told = run(job, executor, rand=lambda: 1.0)
    assert executor.cancelled == ["fc-1", "fc-2"]
    assert told.seconds == pytest.approx(5 + 2 + 5)
    assert [event.failure.after for event in told.of(ev.AttemptFailed)] == [5.0, 5.0]


def test_a_stop_cancels_every_call_in_flight() -> None:
    """Stopped in the middle, every call that was placed and has no outcome is cancelled and said to be."""
    executor = Scripted()
    told = run(spec(), executor, stop_after=6.0)
    standings = told.standings
    assert standings.total("succeeded") == 9
    assert standings.total("cancelled") == 9
    assert sorted(executor.cancelled) == sorted(f"fc-{n}" for n in range(10, 19))
    assert not standings.running
    assert not standings.open_calls


def test_nothing_is_asked_after_a_stop() -> None:
    """A stop that comes while an intent is being written: the intent stands as cancelled, no call is placed."""
    executor = Scripted()
    told = run(spec(), executor, stop_at=ev.AttemptStarted)
    assert not executor.began
    assert len(told.of(ev.AttemptStarted)) == len(told.of(ev.AttemptCancelled)) > 0
    assert not told.standings.running


def test_a_call_cancelled_by_somebody_else_is_not_asked_again() -> None:
    """A call that another person cancelled ends its execution without an answer and without a retry."""
    executor = Scripted(lambda _execution, _number: Cancelled(message="from the dashboard"))
    told = run(spec(regions=(US,)), executor)
    assert len(executor.began) == 24
    assert {progress.state for progress in told.standings.executions.values()} == {State.CANCELLED}


def test_what_has_ended_is_not_asked_again() -> None:
    """A second run over the same journal asks only what is pending, and both together give every answer once."""
    first = run(spec(), Scripted(), stop_after=6.0)
    executor = Scripted()
    second = run(spec(), executor, past=[*first.events, resumed(Plan(spec()))])
    assert len(executor.began) == 72 - 9
    assert second.standings.total("succeeded") == 72
    answered = [event.execution for event in second.of(ev.AttemptSucceeded)]
    assert len(answered) == len(set(answered)) == 72


def test_events_of_an_execution_come_in_their_order() -> None:
    """Each execution says started, placed, ended, in this order, attempt by attempt."""
    told = run(spec(), Scripted(lambda e, n: answers(e, n) if n == 2 else down()))
    for execution in Plan(spec()).executions():
        mine = [event for event in told.events if getattr(event, "execution", "") == execution.id]
        assert [type(event) for event in mine] == [
            ev.AttemptStarted,
            ev.CallPlaced,
            ev.AttemptFailed,
            ev.AttemptStarted,
            ev.CallPlaced,
            ev.AttemptSucceeded,
        ]
        assert isinstance(mine[-1], ev.AttemptSucceeded)
        assert mine[-1].answer.response == f"{execution.id}/2"


def _killed(first: Told, *, after_event: type) -> list[ev.Event]:
    """The journal as a kill leaves it: cut after the first event of a kind."""
    cut = next(n for n, event in enumerate(first.events) if isinstance(event, after_event))
    return [*first.events[: cut + 1], resumed(Plan(spec()))]


def test_resume_waits_for_the_call_that_was_placed() -> None:
    """A call whose id is on disk is waited for and not asked again; its answer counts as recovered."""
    past = _killed(run(spec(), Scripted()), after_event=ev.CallPlaced)
    (call_id,) = fold(past).open_calls
    executor = Scripted(kept={call_id: Succeeded(response="paid for")})
    told = run(spec(), executor, past=past)
    assert executor.collected == [call_id]
    assert len(executor.began) == 71
    standings = told.standings
    assert (standings.recovery.reattached, standings.recovery.recovered, standings.recovery.gone) == (1, 1, 0)
    assert standings.total("succeeded") == 72
    assert not standings.open_calls


def test_resume_asks_again_what_is_gone() -> None:
    """A call that the provider no longer knows, or was cancelled, is said to be gone and asked again at once."""
    for outcome in (None, Cancelled(message="by hand")):
        past = _killed(run(spec(), Scripted()), after_event=ev.CallPlaced)
        executor = Scripted(kept={call_id: outcome for call_id in fold(past).open_calls if outcome})
        told = run(spec(), executor, past=past)
        assert len(executor.began) == 72
        assert told.standings.recovery.gone == 1
        assert told.standings.total("succeeded") == 72
        assert told.seconds == pytest.approx(8 * 4.0)


def test_an_answer_that_crossed_its_cancellation_is_collected() -> None:
    """A call that had its answer when it was cancelled was paid for: resume collects it and asks nothing again."""
    first = run(spec(), Scripted(), stop_after=6.0)
    executor = Scripted(kept={f"fc-{n}": Succeeded(response="just in time") for n in range(10, 14)})
    told = run(spec(), executor, past=[*first.events, resumed(Plan(spec()))])
    assert sorted(executor.collected) == [f"fc-{n}" for n in range(10, 19)]
    assert len(executor.began) == 72 - 9 - 4
    standings = told.standings
    assert (standings.recovery.reattached, standings.recovery.recovered, standings.recovery.gone) == (9, 4, 5)
    assert standings.total("succeeded") == 72
    assert not standings.open_calls


def test_a_reaped_call_may_have_its_answer() -> None:
    """A call that had ended before somebody reaped it is collected like any other."""
    past = _killed(run(spec(), Scripted()), after_event=ev.CallPlaced)
    (call_id,) = fold(past).open_calls
    reaped = [*past[:-1], ev.OrphanEnded(at=9.0, call_id=call_id), past[-1]]
    executor = Scripted(kept={call_id: Succeeded(response="paid for")})
    told = run(spec(), executor, past=reaped)
    assert (executor.collected, len(executor.began)) == ([call_id], 71)
    assert told.standings.total("succeeded") == 72


def test_resume_counts_an_intent_without_an_id() -> None:
    """An attempt of which only the intent is on disk may have run: it is counted and asked again."""
    past = _killed(run(spec(), Scripted()), after_event=ev.AttemptStarted)
    executor = Scripted()
    told = run(spec(), executor, past=past)
    assert told.standings.recovery.may_have_run == 1
    assert len(executor.began) == 72
    assert [number for _, _, number in executor.began].count(2) == 1


def test_a_gone_call_costs_no_try() -> None:
    """After a call was found gone, the execution still has all the attempts that its rule gives."""
    past = _killed(run(spec(), Scripted()), after_event=ev.CallPlaced)
    lost = next(event.execution for event in past if isinstance(event, ev.CallPlaced))
    executor = Scripted(lambda e, n: down() if e.id == lost and n < 5 else answers(e, n))
    told = run(spec(), executor, past=past)
    assert told.standings.total("succeeded") == 72
    assert sum(execution.id == lost for _, execution, _ in executor.began) == 4


def test_asking_again_takes_up_what_failed() -> None:
    """`again` makes what failed or was skipped pending; what succeeded stays."""
    first = run(spec(), Scripted(lambda e, n: down() if e.region.id == "eu" else answers(e, n)))
    executor = Scripted()
    told = run(spec(), executor, past=[*first.events, resumed(Plan(spec()), again=True)])
    assert {execution.region.id for _, execution, _ in executor.began} == {"eu"}
    assert len(executor.began) == 24
    standings = told.standings
    assert (standings.total("succeeded"), standings.total("failed"), standings.total("skipped")) == (72, 0, 0)
    assert not standings.failures


def test_a_store_that_fails_ends_the_calls_in_flight() -> None:
    """When the journal can take no more, every call that was placed is cancelled and nothing new is asked."""
    executor = Scripted()
    with pytest.raises(ExceptionGroup) as raised:
        run(spec(), executor, fail_after=20)
    assert raised.group_contains(StoreError, match="disk full")
    assert len(executor.cancelled) + executor.finished == executor.placed
    assert len(executor.began) <= 10


LOST_WAIT = Failed(kind=ErrorKind.CONNECTION, message="the wait broke", transient=True, unsettled=True)


def test_a_wait_that_broke_is_taken_up_again_and_nothing_is_asked_twice() -> None:
    """Where only the connection broke, the retry waits for the call that was placed, under its number."""
    job = spec(regions=(US,), models=(Model(id="m"),), questions=spec().questions[:1])
    executor = Scripted(lambda _e, _n: LOST_WAIT, kept={"fc-1": Succeeded(response="late")})
    told = run(job, executor)
    assert executor.placed == 1
    assert executor.collected == ["fc-1"]
    assert not executor.cancelled
    (answered,) = told.of(ev.AttemptSucceeded)
    assert (answered.attempt, answered.answer.response) == (1, "late")
    assert not told.standings.open_calls


def test_a_call_whose_wait_is_given_up_is_ended() -> None:
    """After the last try the call that may still run is cancelled at the provider, and said to have ended."""
    job = spec(regions=(US,), models=(Model(id="m"),), questions=spec().questions[:1], retry=RetryRule(attempts=2))
    executor = Scripted(lambda _e, _n: LOST_WAIT, kept={"fc-1": LOST_WAIT})
    told = run(job, executor)
    assert (executor.placed, executor.cancelled) == (1, ["fc-1"])
    assert [event.ended for event in told.of(ev.AttemptFailed)] == [False, True]
    assert told.standings.total("failed") == 1
    assert not told.standings.open_calls


def test_a_call_that_does_not_end_stays_known() -> None:
    """A call whose end the provider does not confirm stays among the open ones, to be reaped."""
    executor = Scripted(seconds=lambda _: 3600.0, ends=False)
    job = spec(
        regions=(US,),
        models=(Model(id="m"),),
        questions=spec().questions[:1],
        limits=Limits(timeout=5.0),
        retry=RetryRule(attempts=2),
    )
    told = run(job, executor)
    assert set(told.standings.open_calls) == {"fc-1", "fc-2"}
