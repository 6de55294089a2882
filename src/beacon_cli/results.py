"""The fold of the events: the one source of screen, summary, report, status and resume. Pure.

`Standings` holds counts and, for each execution that has begun, where it stands; the answers themselves stay in
the journal, so that a run of many thousands fits in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from sys import intern
from typing import Any, ClassVar

import msgspec

from beacon_cli import events as ev
from beacon_cli.counts import (
    CellStanding,
    FailureStanding,
    Progress,
    Recovery,
    RegionStanding,
    RegionState,
    State,
)
from beacon_cli.model import ErrorKind, Failed, TimedOut


class Standings:
    """The fold so far. Only `apply` changes it; everything else reads."""

    def __init__(self) -> None:
        self.run: ev.RunStarted | None = None
        self.began_at: float = 0.0
        """When the run started or, later, was resumed: the time that has gone by counts from here."""
        self.regions: dict[str, RegionStanding] = {}
        self.executions: dict[str, Progress] = {}
        self.running: dict[str, Progress] = {}
        """The executions with an attempt in flight, by id, in the order in which they began."""
        self.waiting: dict[str, Progress] = {}
        """The executions that wait for their next attempt."""
        self.warmth: dict[tuple[str, str], bool | None] = {}
        """For (region, model): whether its latest answer came from a container that was warm already.

        None where the answer did not say; no entry before the first answer.
        """
        self.warming: dict[tuple[str, str], float] = {}
        """For (region, model): since when its container is being started before it is asked."""
        self.cells: dict[tuple[str, str], CellStanding] = {}
        self.failures: dict[ErrorKind, FailureStanding] = {}
        """The executions that failed for good, by kind of error; timeouts count as `ErrorKind.TIMEOUT`."""
        self.open_calls: dict[str, str] = {}
        """The calls that are not known to have ended: call id to execution id; empty for one that warms."""
        self.recovery = Recovery()
        self.interrupted: str | None = None
        self.finished: ev.RunFinished | None = None
        self._reattached: set[str] = set()
        self._answered: set[tuple[str, str]] = set()
        """The models, by region, that have ended an execution since `began_at`: they run warm from then on."""
        self.latest: float = 0.0
        """`at` of the newest event."""

    @property
    def planned(self) -> int:
        """All executions of the plan."""
        return sum(region.planned for region in self.regions.values())

    def total(self, name: str) -> int:
        """The sum over regions of one of `RegionStanding`'s counts."""
        return sum(int(getattr(region, name)) for region in self.regions.values())

    @property
    def intents(self) -> int:
        """The attempts in flight whose call has no id on disk: nobody knows whether it was placed."""
        return sum(progress.call_id is None for progress in self.running.values())

    def apply(self, event: ev.Event) -> None:
        """Take one more event into account. Any order that a journal can hold is valid."""
        self.latest = event.at
        self._handlers[type(event)](self, event)

    def _run_started(self, event: ev.RunStarted) -> None:
        self.run = event
        self.began_at = event.at
        self.regions = {
            region: RegionStanding(id=region, planned=planned) for region, planned in event.planned.items()
        }

    def _run_resumed(self, event: ev.RunResumed) -> None:
        if self.run is not None:
            self.run = msgspec.structs.replace(self.run, spec=event.spec, planned=event.planned)
        self.began_at = event.at
        self.interrupted = self.finished = None
        self.warmth.clear()
        self.warming.clear()
        self._answered.clear()
        for name, planned in event.planned.items():
            region = self.regions.setdefault(name, RegionStanding(id=name, planned=planned))
            region.planned = planned
            region.state = RegionState.QUEUED
            region.skipped = 0
            region.reason = ""
        self.recovery.may_have_run += self.intents
        unfinished = {State.RUNNING, State.WAITING, State.CANCELLED, *([State.FAILED] if event.again else [])}
        for progress in self.executions.values():
            if progress.state in unfinished:
                self._uncount(progress)
                progress.state = State.PENDING
                progress.until = None
        self.running.clear()
        self.waiting.clear()

    def _region_started(self, event: ev.RegionStarted) -> None:
        region = self._region(event.region)
        region.state = RegionState.RUNNING
        region.position = region.starts_at = None
        region.reason = ""
        region.started_at = event.at
        region.paced_from = None
        region.paced = 0
        region.slots = None

    def _turn_awaited(self, event: ev.TurnAwaited) -> None:
        region = self._region(event.region)
        region.position, region.starts_at, region.reason = event.position, event.starts_at, event.reason

    def _turn_lost(self, event: ev.TurnLost) -> None:
        region = self._region(event.region)
        region.state = RegionState.STOPPED if event.final else RegionState.QUEUED
        region.reason = event.reason
        self._leave_waiting(event.region)
        if event.final:
            return
        for progress in self.executions.values():
            if progress.region == event.region and progress.state is State.CANCELLED:
                self._uncount(progress)
                progress.state = State.PENDING

    def _warming(self, event: ev.Warming) -> None:
        self.warming[event.region, event.model] = event.at
        if event.call_id is not None:
            self.open_calls[event.call_id] = ""

    def _warmed(self, event: ev.Warmed) -> None:
        self._end_warming(event, may_run=False)
        self.warmth[event.region, event.model] = True

    def _warming_failed(self, event: ev.WarmingFailed) -> None:
        self._end_warming(event, may_run=not event.ended)

    def _end_warming(self, event: ev.Warmed | ev.WarmingFailed, *, may_run: bool) -> None:
        self.warming.pop((event.region, event.model), None)
        if event.call_id is not None and not may_run:
            self.open_calls.pop(event.call_id, None)

    def _attempt_started(self, event: ev.AttemptStarted) -> None:
        region = self._region(event.region)
        region.question = event.question
        cell = self.cells.setdefault((intern(event.region), intern(event.model)), CellStanding())
        progress = self.executions.get(event.execution)
        if progress is not None and progress.state is State.WAITING:
            region.retries += 1
            cell.retries += 1
        if progress is None:
            progress = self.executions[event.execution] = Progress(
                region=intern(event.region),
                model=intern(event.model),
                question=intern(event.question),
                context=event.context,
                repeat=event.repeat,
                state=State.RUNNING,
                attempts=event.attempt,
                queued_at=event.queued_at,
                started_at=event.at,
            )
        else:
            self.waiting.pop(event.execution, None)
            self._uncount(progress)
            progress.state = State.RUNNING
            progress.attempts = event.attempt
            progress.started_at = event.at
            progress.call_id = None
            progress.unanswered = False
            progress.until = None
            progress.failure = None
        self.running[event.execution] = progress

    def _call_placed(self, event: ev.CallPlaced) -> None:
        progress = self.executions[event.execution]
        progress.call_id = event.call_id
        progress.unanswered = True
        self.open_calls[event.call_id] = event.execution

    def _call_reattached(self, event: ev.CallReattached) -> None:
        progress = self.executions[event.execution]
        self.waiting.pop(event.execution, None)
        self._uncount(progress)
        progress.state = State.RUNNING
        progress.until = None
        self.running[event.execution] = progress
        self.recovery.reattached += 1
        self._reattached.add(event.execution)

    def _attempt_succeeded(self, event: ev.AttemptSucceeded) -> None:
        progress = self._ended(event.execution, State.SUCCEEDED)
        region, cell = self._region(progress.region), self._cell(progress)
        self._pace(region, progress.model, event.at)
        region.succeeded += 1
        cell.succeeded += 1
        cell.seconds += event.seconds
        cell.slowest = max(cell.slowest, event.seconds)
        cold = event.answer.cold_start
        self.warmth[progress.region, progress.model] = None if cold is None else not cold
        if cold is not None:
            region.cold += cold
            region.warm += not cold
            cell.cold += cold
            cell.warm += not cold

    def _attempt_failed(self, event: ev.AttemptFailed) -> None:
        may_run = not event.ended
        if event.execution in self._reattached and _reason(event.failure)[0] is ErrorKind.GONE:
            self.recovery.gone += 1
        if event.retry_in is not None:
            progress = self._ended(event.execution, State.WAITING, may_run=may_run)
            progress.until = event.at + event.retry_in
            self.waiting[event.execution] = progress
            return
        progress = self._ended(event.execution, State.FAILED, may_run=may_run)
        region, cell = self._region(progress.region), self._cell(progress)
        self._pace(region, progress.model, event.at)
        region.failed += 1
        cell.failed += 1
        progress.failure, message = _reason(event.failure)
        failure = self.failures.setdefault(progress.failure, FailureStanding())
        failure.count += 1
        failure.region, failure.model, failure.question = progress.region, progress.model, progress.question
        failure.message = message

    def _attempt_cancelled(self, event: ev.AttemptCancelled) -> None:
        progress = self._ended(event.execution, State.CANCELLED, may_run=not event.ended)
        self._region(progress.region).cancelled += 1
        self._cell(progress).cancelled += 1

    def _orphan_ended(self, event: ev.OrphanEnded) -> None:
        self.open_calls.pop(event.call_id, None)

    def _region_paced(self, event: ev.RegionPaced) -> None:
        self._region(event.region).slots = event.slots

    def _region_given_up(self, event: ev.RegionGivenUp) -> None:
        region = self._region(event.region)
        region.state = RegionState.GIVEN_UP
        region.reason = event.reason

    def _region_finished(self, event: ev.RegionFinished) -> None:
        region = self._region(event.region)
        if region.state is RegionState.GIVEN_UP:
            region.skipped = region.planned - region.succeeded - region.failed - region.cancelled
            self._leave_waiting(event.region)
        else:
            region.state = RegionState.FINISHED

    def _leave_waiting(self, region: str) -> None:
        for key in [key for key, progress in self.waiting.items() if progress.region == region]:
            progress = self.waiting.pop(key)
            progress.state = State.PENDING
            progress.until = None

    def _run_interrupted(self, event: ev.RunInterrupted) -> None:
        self.interrupted = event.reason

    def _run_finished(self, event: ev.RunFinished) -> None:
        self.finished = event

    def _ended(self, execution: str, state: State, *, may_run: bool = False) -> Progress:
        progress = self.executions[execution]
        progress.state = state
        progress.unanswered &= may_run or state is State.CANCELLED
        if progress.call_id is not None and not may_run:
            self.open_calls.pop(progress.call_id, None)
        if execution in self._reattached:
            self._reattached.discard(execution)
            self.recovery.recovered += state is State.SUCCEEDED
        self.running.pop(execution, None)
        self.waiting.pop(execution, None)
        return progress

    def _uncount(self, progress: Progress) -> None:
        region, cell = self._region(progress.region), self._cell(progress)
        if progress.state is State.CANCELLED:
            region.cancelled -= 1
            cell.cancelled -= 1
        elif progress.state is State.FAILED:
            region.failed -= 1
            cell.failed -= 1
            self._uncount_failure(progress.failure)

    def _uncount_failure(self, kind: ErrorKind | None) -> None:
        if kind is None:
            return
        self.failures[kind].count -= 1
        if not self.failures[kind].count:
            del self.failures[kind]

    def _cell(self, progress: Progress) -> CellStanding:
        return self.cells[progress.region, progress.model]

    def _pace(self, region: RegionStanding, model: str, at: float) -> None:
        region.ended_at = at
        region.paced += 1
        if (region.id, model) not in self._answered:
            self._answered.add((region.id, model))
            region.paced_from, region.paced = at, 0

    def _region(self, region: str) -> RegionStanding:
        return self.regions[region]

    _handlers: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        ev.RunStarted: _run_started,
        ev.RunResumed: _run_resumed,
        ev.RegionStarted: _region_started,
        ev.TurnAwaited: _turn_awaited,
        ev.TurnLost: _turn_lost,
        ev.Warming: _warming,
        ev.Warmed: _warmed,
        ev.WarmingFailed: _warming_failed,
        ev.AttemptStarted: _attempt_started,
        ev.CallPlaced: _call_placed,
        ev.CallReattached: _call_reattached,
        ev.AttemptSucceeded: _attempt_succeeded,
        ev.AttemptFailed: _attempt_failed,
        ev.AttemptCancelled: _attempt_cancelled,
        ev.OrphanEnded: _orphan_ended,
        ev.RegionPaced: _region_paced,
        ev.RegionGivenUp: _region_given_up,
        ev.RegionFinished: _region_finished,
        ev.RunInterrupted: _run_interrupted,
        ev.RunFinished: _run_finished,
    }


def _reason(failure: Failed | TimedOut) -> tuple[ErrorKind, str]:
    if isinstance(failure, TimedOut):
        return ErrorKind.TIMEOUT, f"no answer within {failure.after:g} s"
    return failure.kind, failure.message


def fold(events: Iterable[ev.Event]) -> Standings:
    """The standings after these events; every prefix of a journal is valid."""
    standings = Standings()
    for event in events:
        standings.apply(event)
    return standings


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an execution that has yet to end.

    `attempts` counts those that began; `call_id` names the last one's call where it may still give its answer.
    """

    attempts: int = 0
    call_id: str | None = None


def pending(standings: Standings, execution: str) -> Pending | None:
    """What is left to do for an execution, by id; None: nothing, it has ended."""
    progress = standings.executions.get(execution)
    if progress is None:
        return Pending()
    if progress.state in {State.SUCCEEDED, State.FAILED}:
        return None
    return Pending(attempts=progress.attempts, call_id=progress.call_id if progress.unanswered else None)
