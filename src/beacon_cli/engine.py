"""The engine: carries a plan out and says what happened. No print, no file, no SDK; who decides is `policy`.

One task group runs the regions side by side; a region goes through its questions one after another; for each
question the models fan out. One `CapacityLimiter` bounds all executions in flight, `Slots` those of a region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import anyio
import anyio.lowlevel
from anyio import CancelScope, CapacityLimiter, get_cancelled_exc_class

from beacon_cli import events as ev
from beacon_cli import policy
from beacon_cli.lineup import Lineup
from beacon_cli.model import (
    Cancelled,
    Decision,
    Execution,
    Failed,
    Model,
    Outcome,
    Region,
    Retry,
    Schedule,
    Succeeded,
    TimedOut,
)
from beacon_cli.plan import Group, Plan
from beacon_cli.ports import Emit, Executor, Over, Queue, Turn
from beacon_cli.results import Standings, pending
from beacon_cli.slots import Slots
from beacon_cli.trial import Trial, is_lost, lost

_LATE = 0.25
"""Seconds after which an endpoint's turn has passed: whoever had to wait so long for a place takes another."""


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
        self.meters = {
            plan.endpoint(region): policy.Meter(plan.rate, plan.spec.sampling) for region in plan.regions
        }

    def outstanding(self, region: Region) -> dict[Group, int]:
        """The groups of a region that have anything pending, and how much; of none, the first.

        A run begins and ends every region, and says so.
        """
        groups = {group: self._pending(region, group) for group in self.plan.groups(region)}
        first = next(iter(groups))
        return {group: count for group, count in groups.items() if count} or {first: 0}

    def _pending(self, region: Region, group: Group) -> int:
        if not self.past.executions:
            return self.plan.size(group)
        every = (execution for wave in self.plan.waves(region, group) for execution in wave)
        return sum(pending(self.past, execution.id) is not None for execution in every)


async def run(
    plan: Plan,
    *,
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
            regions.start_soon(_in_turn, region, crew)


async def _in_turn(region: Region, crew: _Crew) -> None:
    """Do the region's work in its turn, and in another turn what a lost one left."""
    over: Over | None = Over("", final=False)
    while over is not None and not over.final:
        asked = crew.clock()
        groups = crew.outstanding(region)
        async with crew.queue.turn(region, next(iter(groups)).models, sum(groups.values())) as turn:
            if isinstance(turn, Over):
                over = turn
            else:
                waited = crew.clock() - asked
                await crew.emit(ev.RegionStarted(at=crew.clock(), region=region.id, waited=waited))
                over = await _RegionWork(region, crew, turn).carry_out(groups)
        if over is not None:
            await crew.emit(ev.TurnLost(at=crew.clock(), region=region.id, reason=over.reason, final=over.final))
    if over is None:
        await crew.emit(ev.RegionFinished(at=crew.clock(), region=region.id))


class _RegionWork:
    """One region's way through its part of the plan."""

    def __init__(self, region: Region, crew: _Crew, turn: Turn) -> None:
        spec = crew.plan.spec
        self._region = region
        self._turn = turn
        self._crew = crew
        self._retry = spec.retry
        self._timeout = spec.limits.timeout
        self._pace = policy.Pace(min(spec.limits.per_region, spec.limits.concurrency))
        self._slots = Slots(self._pace.allowed)
        self._meter = crew.meters[crew.plan.endpoint(region)]
        self._breaker = policy.Breaker(spec.breaker)
        self._given_up = anyio.Event()

    async def carry_out(self, groups: Iterable[Group]) -> Over | None:
        """Work through the groups as long as the turn lasts; says why it ended, if it did before the work."""
        over: Over | None = None

        async def watch(work: CancelScope) -> None:
            nonlocal over
            over = await self._turn.over()
            work.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch, group.cancel_scope)
            for each in groups:
                await self._turn.admit(each.models, fresh=each.is_fresh)
                await self._group(each)
            group.cancel_scope.cancel()
            return None
        return over

    async def _group(self, group: Group) -> None:
        """Each model through the group's questions; one whose container is still starting holds no other."""
        models = group.models
        if self._turn.prewarms:
            models = tuple(model for model in models if self._has_work(group, model))
        async with anyio.create_task_group() as tasks:
            if self._crew.plan.spec.schedule is Schedule.LANES:
                for model in models:
                    tasks.start_soon(self._lanes, group, model)
                return
            line = Lineup(models, late=models if self._turn.prewarms else ())
            if self._turn.prewarms:
                for model in models:
                    tasks.start_soon(self._join, line, group, model)
            await self._in_step(line, group)

    async def _in_step(self, line: Lineup, group: Group) -> None:
        """Question by question, all models that are in step by then."""
        for wave in self._crew.plan.waves(self._region, group):
            present = await line.next()
            if self._given_up.is_set():
                return
            async with anyio.create_task_group() as fan:
                for execution in wave:
                    if execution.model.id in present:
                        fan.start_soon(self._execution, execution)

    async def _join(self, line: Lineup, group: Group, model: Model) -> None:
        """Once the model is warm, catch up with those that were warm before it, then go on with them."""
        await self._turn.warm(model)
        for done, execution in enumerate(self._crew.plan.lane(self._region, group, model)):
            if line.joins(model, done) or self._given_up.is_set():
                return
            await self._execution(execution)

    async def _lanes(self, group: Group, model: Model) -> None:
        """One model by itself, with as many questions in flight as the job allows."""
        if self._turn.prewarms:
            await self._turn.warm(model)
        lane = self._crew.plan.lane(self._region, group, model)
        async with anyio.create_task_group() as lanes:
            for _ in range(self._crew.plan.spec.in_flight):
                lanes.start_soon(self._lane, lane)  # one iterator: each execution comes out of it once

    def _has_work(self, group: Group, model: Model) -> bool:
        lane = self._crew.plan.lane(self._region, group, model)
        return any(pending(self._crew.past, execution.id) is not None for execution in lane)

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
        trial = Trial(
            execution=execution, number=todo.attempts, call_id=todo.call_id, queued_at=self._crew.clock()
        )
        while True:
            async with self._slots.slot(execution.order):
                turn = await self._metered(execution)
                await self._seat()
                try:
                    if turn is not None and anyio.current_time() > turn + _LATE:
                        await self._metered(execution)  # others' turns have come since: both would go together
                    if self._given_up.is_set():
                        return
                    decision = await self._attempt(trial)
                finally:
                    self._crew.limiter.release()
            if not isinstance(decision, Retry):
                return
            with anyio.move_on_after(decision.wait):
                await self._given_up.wait()
            trial.queued_at = self._crew.clock()

    async def _seat(self) -> None:
        """Take one of the run's places; where one is free, without a turn of the event loop."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        try:
            self._crew.limiter.acquire_nowait()
        except anyio.WouldBlock:
            await self._crew.limiter.acquire()

    async def _metered(self, execution: Execution) -> float | None:
        """Wait until the endpoint may be asked and the region's pace allows it, or the region is given up.

        Gives when that was to be, on anyio's clock; None where nothing is prescribed.
        """
        if self._meter.is_free and not self._pace.between:
            return None
        now = anyio.current_time()
        turn = max(self._meter.reserve(now, execution), self._pace.reserve(now))
        while not self._given_up.is_set():
            left = turn - anyio.current_time()
            if left > 0:
                with anyio.move_on_after(left):
                    await self._given_up.wait()
            if self._meter.open_at <= turn:
                break
            turn = self._meter.reserve(anyio.current_time(), execution, again=True)
        return turn

    async def _keep_pace(self, number: int, execution: Execution, outcome: Outcome) -> None:
        """Let the region go slower or faster, as the outcome says, and say so."""
        respite = self._meter.ended(anyio.current_time, execution, outcome)
        reason = self._pace.ended(number, outcome)
        if not (reason or respite):
            return
        slots = self._pace.allowed
        self._slots.resize(slots)
        await self._crew.emit(
            ev.RegionPaced(at=self._crew.clock(), region=self._region.id, slots=slots, reason=respite or reason)
        )

    async def _attempt(self, trial: Trial) -> Decision:
        """Make one attempt, say what came of it, and hand on what policy decides."""
        began = anyio.current_time()
        trial.begin()
        number = self._pace.begin()
        outcome = await self._outcome(trial)
        decision: Decision
        if trial.is_found and is_lost(outcome):
            outcome, decision = lost(trial.call_id, outcome), Retry(wait=0.0)
            trial.tries -= 1
        else:
            decision = policy.after(outcome, trial.tries, self._retry, self._crew.rand)
        ended = await self._settle(trial, outcome, decision)
        await self._say(trial, outcome, decision, seconds=anyio.current_time() - began, ended=ended)
        await self._keep_pace(number, trial.execution, outcome)
        if not isinstance(decision, Retry) and self._breaker.ended(outcome) and not self._given_up.is_set():
            await self._give_up(outcome)
        return decision

    async def _outcome(self, trial: Trial) -> Outcome:
        """Wait for the outcome of a new call, or of the one placed earlier, no longer than the limit.

        A call whose wait ends by an exception is ended at the provider, whatever the exception.
        """
        crew, execution = self._crew, trial.execution

        async def placed(call_id: str) -> None:
            trial.call_id = call_id
            await crew.emit(
                ev.CallPlaced(at=crew.clock(), execution=execution.id, attempt=trial.number, call_id=call_id)
            )

        outcome: Outcome = TimedOut(after=self._timeout)
        try:
            await crew.emit(trial.opening(crew.clock()))
            await anyio.lowlevel.checkpoint_if_cancelled()  # after a stop no call is placed any more
            with anyio.move_on_after(self._timeout):
                if trial.call_id is not None:
                    outcome = await crew.executor.collect(execution, trial.call_id)
                else:
                    outcome = await crew.executor.attempt(execution, trial.number, placed, self._turn.holds)
        except BaseException as error:
            with CancelScope(shield=True):
                ended = await self._end(trial)
                if isinstance(error, get_cancelled_exc_class()):
                    await crew.emit(trial.stopped(crew.clock(), ended=ended))
            raise
        return outcome

    async def _settle(self, trial: Trial, outcome: Outcome, decision: Decision) -> bool:
        """Leave no call behind: one that may still run is waited for in the next try, or ended. True: it has."""
        if isinstance(outcome, Failed) and outcome.unsettled and isinstance(decision, Retry):
            return trial.call_id is None
        ended = True
        if isinstance(outcome, TimedOut) or (isinstance(outcome, Failed) and outcome.unsettled):
            with CancelScope(shield=True):
                ended = await self._end(trial)
        trial.call_id = None
        return ended

    async def _end(self, trial: Trial) -> bool:
        return trial.call_id is None or await self._crew.executor.cancel(trial.call_id)

    async def _say(
        self, trial: Trial, outcome: Outcome, decision: Decision, *, seconds: float, ended: bool
    ) -> None:
        at, execution, number = self._crew.clock(), trial.execution.id, trial.number
        event: ev.Event
        match outcome:
            case Succeeded():
                event = ev.AttemptSucceeded(
                    at=at, execution=execution, attempt=number, seconds=seconds, answer=outcome
                )
            case Cancelled():
                event = trial.stopped(at, ended=True)
            case failure:
                event = ev.AttemptFailed(
                    at=at,
                    execution=execution,
                    attempt=number,
                    seconds=seconds,
                    failure=failure,
                    retry_in=decision.wait if isinstance(decision, Retry) else None,
                    ended=ended,
                )
        await self._crew.emit(event)

    async def _give_up(self, outcome: Outcome) -> None:
        self._given_up.set()
        reason = policy.why_given_up(outcome, self._crew.plan.spec.breaker)
        await self._crew.emit(ev.RegionGivenUp(at=self._crew.clock(), region=self._region.id, reason=reason))
