"""One run from its first event to its last: journal first, then the fold, then whoever watches; stops on request.

Knows the ports and the engine; which adapters stand behind them is `wiring`'s business. Reads no signal itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable

import anyio

from beacon_cli import engine
from beacon_cli import events as ev
from beacon_cli.counts import RegionState
from beacon_cli.plan import Plan
from beacon_cli.ports import Executor, Journal, Listener, Queue
from beacon_cli.results import Standings
from beacon_cli.rows import Status, tally


class Recorder:
    """Keeps the events: on disk before on screen. `emit` is what the engine is given."""

    def __init__(self, journal: Journal, standings: Standings, listeners: Iterable[Listener]) -> None:
        self.standings = standings
        self._journal = journal
        self._listeners = list(listeners)

    def add(self, listener: Listener) -> None:
        """Tell this one too, from now on, and before all others."""
        self._listeners.insert(0, listener)

    async def emit(self, event: ev.Event) -> None:
        """See `ports.Emit`."""
        await self._journal.append(event)
        self.standings.apply(event)
        for listener in self._listeners:
            await listener.handle(event, self.standings)


async def conduct(
    plan: Plan,
    *,
    opening: ev.RunStarted | ev.RunResumed,
    recorder: Recorder,
    queue: Queue,
    executor: Executor,
    stops: AsyncIterable[str],
    clock: Callable[[], float],
    rand: Callable[[], float],
) -> Standings:
    """Carry a plan out, record everything, and close the run.

    Args:
        plan: what is to be done.
        opening: the event that opens this run.
        recorder: where every event goes; its standings are what the journal held so far.
        queue: says when a region's turn has come.
        executor: makes the attempts; prepared by its owner.
        stops: gives a reason each time that somebody asks to stop; the first one ends the run.
        clock: seconds since the epoch.
        rand: uniform from 0 to 1.

    Returns:
        The standings at the end, whether it came by itself, by a stop or by `limits.run_timeout`.
    """
    standings = recorder.standings
    began = anyio.current_time()
    await recorder.emit(opening)
    async with anyio.create_task_group() as group:
        work = anyio.CancelScope()
        group.start_soon(_stop, stops, work, recorder, clock)
        with work, anyio.move_on_after(plan.spec.limits.run_timeout) as limit:
            await engine.run(
                plan,
                past=standings,
                queue=queue,
                executor=executor,
                emit=recorder.emit,
                clock=clock,
                rand=rand,
            )
        if limit.cancelled_caught and standings.interrupted is None:
            await recorder.emit(ev.RunInterrupted(at=clock(), reason="limits.run_timeout"))
        group.cancel_scope.cancel()
    stopped = [region for region in standings.regions.values() if region.state is RegionState.STOPPED]
    if stopped and standings.interrupted is None:
        await recorder.emit(ev.RunInterrupted(at=clock(), reason=stopped[0].reason))
    await recorder.emit(_closing(standings, clock(), anyio.current_time() - began))
    return standings


async def _stop(
    stops: AsyncIterable[str], work: anyio.CancelScope, recorder: Recorder, clock: Callable[[], float]
) -> None:
    async for reason in stops:
        if not tally(recorder.standings)[Status.CANCELLED]:
            continue  # every execution has ended: there is nothing to stop
        work.cancel()
        if recorder.standings.interrupted is None:
            await recorder.emit(ev.RunInterrupted(at=clock(), reason=reason))


def _closing(standings: Standings, at: float, seconds: float) -> ev.RunFinished:
    counts = tally(standings)
    return ev.RunFinished(
        at=at,
        seconds=seconds,
        succeeded=counts[Status.SUCCEEDED],
        failed=counts[Status.FAILED],
        skipped=counts[Status.SKIPPED],
        cancelled=counts[Status.CANCELLED],
        open_calls=len(standings.open_calls),
    )
