"""The engine: carries a plan out and says what happened. No print, no file, no SDK; who decides is `policy`.

One task group runs the regions side by side; a region goes through its questions one after another; for each
question the models fan out. One `CapacityLimiter` bounds all executions in flight, `Slots` those of a region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anyio
from anyio import CancelScope, CapacityLimiter, get_cancelled_exc_class

from beacon_cli import events as ev
from beacon_cli import policy
from beacon_cli.model import (
    Cancelled,
    Done,
    Execution,
    GiveUp,
    Outcome,
    Region,
    Retry,
    Schedule,
    Succeeded,
    TimedOut,
)
from beacon_cli.plan import Plan
from beacon_cli.ports import Emit, Executor, Queue
from beacon_cli.results import Standings, pending
from beacon_cli.slots import Slots


class _Crew:
    """What all regions of one run share."""

    def __init__(
        self,
        plan: Plan,
        *,
        past: Standings,
        queue: Queue,
        executor: Executor,
        emit: Emit,
        clock: Callable[[], float],
        rand: Callable[[], float],
    ) -> None:
        self.plan = plan
        self.past = past
        self.queue = queue
        self.executor = executor
        self.emit = emit
        self.clock = clock
        self.rand = rand
        self.limiter = CapacityLimiter(plan.spec.limits.concurrency)


async def run(
    plan: Plan,
    *,
    run_id: str,
    past: Standings,
    queue: Queue,
    executor: Executor,
    emit: Emit,
    clock: Callable[[], float],
    rand: Callable[[], float],
) -> None:
    """Carry out what of `plan` is pending after `past`.

    Args:
        plan: what is to be done, in order.
        run_id: names the run in the queue.
        past: the fold of the run's journal so far; an execution that ended there is not asked again.
        queue: says when a region's turn has come.
        executor: makes the attempts; prepared by its owner.
        emit: told of everything that happens; what it raises ends the run.
        clock: seconds since the epoch, for the events' times.
        rand: uniform from 0 to 1, for the jitter of waits.

    Failures of executions and regions are events, not exceptions. A cancellation from outside ends every call in
    flight through `executor.cancel`, says so, and passes on.
    """
    crew = _Crew(plan, past=past, queue=queue, executor=executor, emit=emit, clock=clock, rand=rand)
    async with anyio.create_task_group() as regions:
        for region in plan.regions:
            regions.start_soon(_in_turn, run_id, region, crew)


async def _in_turn(run_id: str, region: Region, crew: _Crew) -> None:
    asked = crew.clock()
    async with crew.queue.turn(run_id, region.id):
        await crew.emit(ev.RegionStarted(at=crew.clock(), region=region.id, waited=crew.clock() - asked))
        await _RegionWork(region, crew).carry_out()
        await crew.emit(ev.RegionFinished(at=crew.clock(), region=region.id))


class _RegionWork:
    """One region's way through its part of the plan."""

    def __init__(self, region: Region, crew: _Crew) -> None:
        spec = crew.plan.spec
        self._region = region
        self._crew = crew
        self._retry = spec.retry
        self._timeout = spec.limits.timeout
        self._slots = Slots(spec.limits.per_region)
        self._breaker = policy.Breaker(spec.breaker)
        self._given_up = anyio.Event()

    async def carry_out(self) -> None:
        plan = self._crew.plan
        if plan.spec.schedule is Schedule.LANES:
            async with anyio.create_task_group() as lanes:
                for lane in plan.lanes(self._region):
                    lanes.start_soon(self._lane, lane)
            return
        for wave in plan.waves(self._region):
            if self._given_up.is_set():
                return
            async with anyio.create_task_group() as models:
                for execution in wave:
                    models.start_soon(self._execution, execution)

    async def _lane(self, lane: Iterator[Execution]) -> None:
        for execution in lane:
            if self._given_up.is_set():
                return
            await self._execution(execution)

    async def _execution(self, execution: Execution) -> None:
        """Attempt after attempt until the execution has ended or the region was given up."""
        todo = pending(self._crew.past, execution.id)
        if todo is None:
            return
        queued_at = self._crew.clock()
        attempts = todo.attempts
        while True:
            attempts += 1
            async with self._slots.slot(execution.order), self._crew.limiter:
                if self._given_up.is_set():
                    return
                decision = await self._attempt(execution, attempts, queued_at)
            if not isinstance(decision, Retry):
                return
            with anyio.move_on_after(decision.wait):
                await self._given_up.wait()
            queued_at = self._crew.clock()

    async def _attempt(self, execution: Execution, number: int, queued_at: float) -> Done | Retry | GiveUp:
        """Make one attempt, say what came of it, and hand on what policy decides."""
        began = anyio.current_time()
        outcome = await self._outcome(execution, number, queued_at)
        decision = policy.after(outcome, number, self._retry, self._crew.rand)
        await self._say(execution, number, outcome, decision, anyio.current_time() - began)
        if not isinstance(decision, Retry) and self._breaker.ended(outcome) and not self._given_up.is_set():
            await self._give_up(outcome)
        return decision

    async def _outcome(self, execution: Execution, number: int, queued_at: float) -> Outcome:
        """Wait for the outcome no longer than the limit; a call whose wait ends early is ended at the provider."""
        calls: list[str] = []

        async def placed(call_id: str) -> None:
            calls.append(call_id)
            await self._crew.emit(
                ev.CallPlaced(at=self._crew.clock(), execution=execution.id, attempt=number, call_id=call_id)
            )

        outcome: Outcome = TimedOut(after=self._timeout)
        try:
            started = ev.AttemptStarted(
                at=self._crew.clock(),
                execution=execution.id,
                attempt=number,
                region=execution.region.id,
                model=execution.model.id,
                question=execution.question.id,
                context=execution.context.id if execution.context else None,
                repeat=execution.repeat,
                queued_at=queued_at,
            )
            await self._crew.emit(started)
            with anyio.move_on_after(self._timeout) as limit:
                outcome = await self._crew.executor.attempt(execution, number, placed)
            if limit.cancelled_caught and calls:
                await self._crew.executor.cancel(calls[0])
        except get_cancelled_exc_class():
            with CancelScope(shield=True):
                ended = await self._crew.executor.cancel(calls[0]) if calls else True
                await self._crew.emit(
                    ev.AttemptCancelled(
                        at=self._crew.clock(),
                        execution=execution.id,
                        attempt=number,
                        call_id=calls[0] if calls else None,
                        ended=ended,
                    )
                )
            raise
        return outcome

    async def _say(
        self, execution: Execution, number: int, outcome: Outcome, decision: Done | Retry | GiveUp, seconds: float
    ) -> None:
        at = self._crew.clock()
        event: ev.Event
        match outcome:
            case Succeeded():
                event = ev.AttemptSucceeded(
                    at=at, execution=execution.id, attempt=number, seconds=seconds, answer=outcome
                )
            case Cancelled():
                event = ev.AttemptCancelled(
                    at=at, execution=execution.id, attempt=number, call_id=None, ended=True
                )
            case failure:
                event = ev.AttemptFailed(
                    at=at,
                    execution=execution.id,
                    attempt=number,
                    seconds=seconds,
                    failure=failure,
                    retry_in=decision.wait if isinstance(decision, Retry) else None,
                )
        await self._crew.emit(event)

    async def _give_up(self, outcome: Outcome) -> None:
        self._given_up.set()
        why = "timed out" if isinstance(outcome, TimedOut) else getattr(outcome, "message", "")
        count = self._crew.plan.spec.breaker.failures
        reason = f"{count} executions in a row failed for good by infrastructure, the last one: {why}"
        await self._crew.emit(ev.RegionGivenUp(at=self._crew.clock(), region=self._region.id, reason=reason))
