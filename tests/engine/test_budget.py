"""No execution starts before what it may cost is reserved; a run that its budget stops can go on with more."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import virtual
from tests.support.jobs import EU, US, spec
from tests.support.scripted import Scripted, started

from beacon_cli import conduct
from beacon_cli import events as ev
from beacon_cli.journal import MemoryJournal
from beacon_cli.model import ErrorKind, Execution, Failed, Outcome, Schedule, Spec, Succeeded
from beacon_cli.operations.budgeting import Budget
from beacon_cli.plan import Plan
from beacon_cli.planning.purses import Purse, Tariff
from beacon_cli.queues.open import OpenQueue
from beacon_cli.rates import Rates
from beacon_cli.results import Standings, fold, pending

START, ANSWER, WINDOW = 60.0, 5.0, 120.0
RATE = 0.001
FIRST = RATE * (START + ANSWER + WINDOW)
"""What the first answer of a model is reserved at; each further one at `NEXT`."""
NEXT = RATE * ANSWER


class House(Scripted):
    """A container for each model in each region, started by its first question; every third attempt may fail."""

    def __init__(self, *, failing: bool = False) -> None:
        super().__init__(self._script, self._seconds)
        self._failing = failing
        self._cold: dict[str, str] = {}

    def _pool(self, execution: Execution) -> str:
        return f"{execution.region.id} {execution.model.id}"

    def _seconds(self, execution: Execution) -> float:
        first = self._cold.setdefault(self._pool(execution), execution.id) == execution.id
        return ANSWER + (START if first else 0.0)

    def _script(self, execution: Execution, number: int) -> Outcome:
        if self._failing and (execution.order + number) % 3 == 0:
            return Failed(kind=ErrorKind.PLATFORM, message="no", transient=True)
        cold = self._cold[self._pool(execution)] == execution.id
        seconds = {"boot": START if cold else 0.0, "load": 0.0, "queue": 0.0, "generation": ANSWER}
        return Succeeded(
            response="a",
            container=self._pool(execution),
            cold_start=cold,
            provenance={"gpu": "T4", "seconds": seconds},
        )


class Spent:
    """A listener that looks at the purse at each event: `most` is the most that was ever spent or reserved."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse
        self.most = 0.0

    async def handle(self, event: ev.Event, standings: Standings) -> None:
        """See `ports.Listener.handle`."""
        del event, standings
        self.most = max(self.most, self._purse.spent + self._purse.reserved)


def purse(plan: Plan, limit: float) -> Purse:
    """The purse of a run whose every GPU costs the same."""
    cells = [(region.id, model.id) for region, model in plan.cells()]
    return Purse(
        limit,
        Tariff(
            per_second=dict.fromkeys(cells, RATE),
            start=dict.fromkeys(cells, START),
            answer=dict.fromkeys(cells, ANSWER),
            rates=Rates(gpu={"T4": RATE}, region={"us": 1.0, "eu": 1.0}),
            window=WINDOW,
        ),
    )


def carried_out(
    job: Spec, limit: float, *, past: tuple[ev.Event, ...] = (), failing: bool = False
) -> tuple[list[ev.Event], Spent, list[str]]:
    """The events of a run with this budget, what it spent, and why it was stopped, if it was."""
    plan, journal, reasons = Plan(job), MemoryJournal(), list[str]()
    kept = purse(plan, limit)
    for event in past:
        kept.apply(event)
    budget, spent, asked = Budget(kept, anyio.current_time), Spent(kept), anyio.Event()

    def stop(reason: str) -> None:
        reasons.append(reason)
        asked.set()

    async def stops() -> AsyncIterator[str]:
        await asked.wait()
        yield reasons[0]

    async def main() -> None:
        recorder = conduct.Recorder(journal, fold(past), [spent])
        recorder.add(budget)
        budget.open(recorder.emit, stop)
        resumed = ev.RunResumed(
            at=0.0, run_id="r1", spec=plan.spec, planned=plan.planned, beacon="test", speed=1.0
        )
        await conduct.conduct(
            plan,
            opening=resumed if past else started(plan),
            recorder=recorder,
            queue=OpenQueue(),
            executor=House(failing=failing),
            stops=stops(),
            clock=anyio.current_time,
            rand=lambda: 0.5,
        )

    virtual.asyncio(main)
    return journal.events, spent, reasons


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 2.0), st.sampled_from(Schedule), st.booleans())
def test_no_more_than_the_budget_is_ever_spent_or_put_by(
    limit: float,
    schedule: Schedule,
    failing: bool,  # noqa: FBT001 - drawn
) -> None:
    """Whatever the budget: it holds at every moment, and a run that it stops has no call in flight."""
    job = spec(regions=(US, EU), schedule=schedule)
    events, spent, reasons = carried_out(job, limit, failing=failing)
    assert spent.most <= limit + 1e-9
    standings = fold(events)
    left = [each for each in Plan(job).executions() if pending(standings, each.id) is not None]
    assert bool(left) is bool(reasons)
    assert not standings.open_calls
    stopped = [event for event in events if isinstance(event, ev.AttemptCancelled)]
    assert all(event.call_id is None for event in stopped)


def test_a_run_that_its_budget_stopped_goes_on_with_a_higher_one() -> None:
    """What one process spent counts in the next; with enough, all is answered and nothing is asked twice."""
    job = spec(regions=(US,))
    limit = 3 * FIRST + 4 * NEXT + 1e-9
    events, _, reasons = carried_out(job, limit)
    assert fold(events).total("succeeded") == 7
    assert reasons == [f"budget of {limit:.2f} USD reached"]
    again, spent, why = carried_out(job, limit, past=tuple(events))
    assert (fold([*events, *again]).total("succeeded"), len(why)) == (7, 1)
    assert spent.most == pytest.approx(limit)
    more, _, never = carried_out(job, 2 * limit + 1.0, past=tuple(events))
    assert (fold([*events, *more]).total("succeeded"), never) == (24, [])


def test_four_fifths_are_told_once() -> None:
    """The run says once that four fifths of its budget are spent or reserved, and with how much."""
    job = spec(regions=(US,))
    whole = 3 * FIRST + 21 * NEXT
    events, _, _ = carried_out(job, whole + 1e-6)
    (said,) = [event for event in events if isinstance(event, ev.BudgetNeared)]
    assert said.limit == pytest.approx(whole, abs=1e-5)
    assert 0.8 <= (said.spent + said.reserved) / said.limit < 0.9
    assert not [event for event in carried_out(job, 10.0)[0] if isinstance(event, ev.BudgetNeared)]


def test_a_waking_that_a_crash_cut_off_is_spent_up_to_the_time_limit() -> None:
    """Its container may have started and idled for its window; the next process counts that."""
    plan = Plan(spec(regions=(US,)))
    kept, model = purse(plan, 10.0), plan.models(US)[0].id
    kept.apply(started(plan))
    kept.apply(ev.Warming(at=1.0, region="us", model=model, call_id="fc-1"))
    assert kept.reserved == pytest.approx(RATE * (START + WINDOW))
    kept.apply(ev.RunResumed(at=1e6, run_id="r1", spec=plan.spec, planned=plan.planned, beacon="test", speed=1.0))
    assert kept.reserved == 0.0
    assert kept.spent == pytest.approx(RATE * (plan.spec.limits.timeout + WINDOW))
