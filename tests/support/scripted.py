"""An executor whose every outcome the test decides, and an emit that keeps what it was told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import anyio
from tests.support import virtual

from beacon_cli import engine
from beacon_cli import events as ev
from beacon_cli.errors import StoreError
from beacon_cli.model import ErrorKind, Execution, Failed, Model, Outcome, Region, Spec, Succeeded
from beacon_cli.plan import Plan
from beacon_cli.ports import MayPlace, Placed, Queue, always
from beacon_cli.queues.open import OpenQueue
from beacon_cli.results import Standings, fold

Script = Callable[[Execution, int], Outcome]


def answers(execution: Execution, number: int) -> Outcome:
    """Every attempt succeeds."""
    return Succeeded(response=f"{execution.id}/{number}")


def down(message: str = "no route") -> Failed:
    """The provider cannot be reached."""
    return Failed(kind=ErrorKind.CONNECTION, message=message, transient=True)


class Scripted:
    """Takes `seconds(execution)` for an attempt, then gives what `script` says; counts what is in flight."""

    def __init__(
        self,
        script: Script = answers,
        seconds: Callable[[Execution], float] = lambda _: 4.0,
        kept: Mapping[str, Outcome] | None = None,
        *,
        ends: bool = True,
    ) -> None:
        self.ends = ends
        self.script = script
        self.kept = kept or {}
        self.collected: list[str] = []
        self.finished = 0
        self.seconds = seconds
        self.in_flight: list[Execution] = []
        self.peak = 0
        self.peak_by_region: dict[str, int] = {}
        self.began: list[tuple[float, Execution, int]] = []
        self.cancelled: list[str] = []
        self.placed = 0

    @property
    def containers(self) -> None:
        """It holds no GPU."""

    async def prepare(self, cells: Iterable[tuple[Region, Model]]) -> None:
        """Everything is there."""

    async def attempt(
        self,
        execution: Execution,
        number: int,
        placed: Placed,
        may_place: MayPlace = always,  # noqa: ARG002 - no GPU of the workspace
    ) -> Outcome:
        """See `ports.Executor.attempt`."""
        self.began.append((anyio.current_time(), execution, number))
        self.in_flight.append(execution)
        self.peak = max(self.peak, len(self.in_flight))
        region = execution.region.id
        here = sum(other.region.id == region for other in self.in_flight)
        self.peak_by_region[region] = max(self.peak_by_region.get(region, 0), here)
        try:
            with anyio.CancelScope(shield=True):
                self.placed += 1
                await placed(f"fc-{self.placed}")
            await anyio.sleep(self.seconds(execution))
        finally:
            self.in_flight.remove(execution)
        self.finished += 1
        return self.script(execution, number)

    async def collect(self, execution: Execution, call_id: str) -> Outcome:
        """Give what was kept; all else is gone."""
        self.collected.append(call_id)
        if call_id in self.kept:
            return self.kept[call_id]
        return Failed(kind=ErrorKind.GONE, message=f"{call_id} of {execution.id} is gone", transient=True)

    async def cancel(self, call_id: str) -> bool:
        """Remember that it was asked."""
        self.cancelled.append(call_id)
        return self.ends


class Told:
    """What came of a run in virtual time."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.events: list[ev.Event] = []
        self.seconds = 0.0
        self.fail_after = fail_after

    async def emit(self, event: ev.Event) -> None:
        """Keep the event, as a journal would: not before a turn of the loop."""
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        if self.fail_after is not None and len(self.events) >= self.fail_after:
            raise StoreError("events.jsonl: disk full")
        self.events.append(event)

    def of(self, *kinds: type) -> list[Any]:
        """The events of these kinds."""
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def standings(self) -> Standings:
        """The fold of all that was told."""
        return fold(self.events)


def started(plan: Plan) -> ev.RunStarted:
    """The first event of a run."""
    return ev.RunStarted(
        at=0.0,
        run_id="r1",
        spec=plan.spec,
        planned=plan.planned,
        fingerprint=plan.fingerprint,
        rehearsal=False,
        beacon="test",
    )


def resumed(plan: Plan, *, again: bool = False) -> ev.RunResumed:
    """The event with which a later process goes on."""
    return ev.RunResumed(at=0.0, run_id="r1", spec=plan.spec, planned=plan.planned, beacon="test", again=again)


def run(  # noqa: PLR0913 - a test says what differs
    spec: Spec,
    executor: Scripted,
    *,
    rand: Callable[[], float] = lambda: 0.5,
    stop_after: float | None = None,
    stop_at: type | None = None,
    past: Iterable[ev.Event] = (),
    fail_after: int | None = None,
    backend: virtual.Backend = virtual.trio,
    queue: Queue | None = None,
) -> Told:
    """Carry a spec out in virtual time: an hour takes no time.

    It is stopped after `stop_after` seconds, or while an event of the kind `stop_at` is being kept.
    """
    plan = Plan(spec)
    told = Told(fail_after)
    told.events.extend(past or [started(plan)])

    async def main() -> None:
        began = anyio.current_time()
        with anyio.move_on_after(stop_after) as work:

            async def emit(event: ev.Event) -> None:
                if stop_at and isinstance(event, stop_at):
                    work.cancel()
                await told.emit(event)

            await engine.run(
                plan,
                past=told.standings,
                queue=queue or OpenQueue(),
                executor=executor,
                emit=emit,
                clock=anyio.current_time,
                rand=rand,
            )
        told.seconds = anyio.current_time() - began

    backend(main)
    return told
