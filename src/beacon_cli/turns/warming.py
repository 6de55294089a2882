"""Starting a model's container before it is asked, within a turn, and saying what came of it.

What goes wrong here fails nothing: the first question starts the container then, and takes as long as it takes.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from beacon_cli import events as ev
from beacon_cli.model import Cancelled, ErrorKind, Failed, Model, Outcome, Region, Succeeded, TimedOut
from beacon_cli.ports import Containers, Emit, Executor, MayPlace


class Warmer:
    """Warms for one run. No container may take longer than `limit` seconds to start."""

    def __init__(
        self,
        containers: Containers,
        executor: Executor,
        *,
        emit: Emit,
        clock: Callable[[], float],
        limit: float,
    ) -> None:
        self._containers = containers
        self._executor = executor
        self._emit = emit
        self._clock = clock
        self._limit = limit

    async def warm(self, region: Region, model: Model, may_place: MayPlace) -> bool:
        """See `ports.Turn.warm`. True: it is known to serve."""
        began = anyio.current_time()
        placed_as: str | None = None

        async def placed(call_id: str | None) -> None:
            nonlocal placed_as
            placed_as = call_id
            await self._emit(ev.Warming(at=self._clock(), region=region.id, model=model.id, call_id=call_id))

        outcome: Outcome | None = TimedOut(after=self._limit)
        try:
            with anyio.move_on_after(self._limit):
                outcome = await self._containers.wake(region, model, placed, may_place)
        except BaseException:
            with anyio.CancelScope(shield=True):
                stopped = Failed(kind=ErrorKind.INTERRUPTED, message="the run stopped", transient=False)
                await self._failed(region, model, placed_as, stopped, anyio.current_time() - began, may_run=True)
            raise
        seconds = anyio.current_time() - began
        match outcome:
            case None:
                return False
            case Succeeded():
                await self._emit(
                    ev.Warmed(
                        at=self._clock(),
                        region=region.id,
                        model=model.id,
                        call_id=placed_as,
                        seconds=seconds,
                        answer=outcome,
                    )
                )
                return True
            case Cancelled(message=message):
                cancelled = Failed(kind=ErrorKind.INTERRUPTED, message=message or "cancelled", transient=False)
                await self._failed(region, model, placed_as, cancelled, seconds, may_run=False)
            case failure:
                may_run = isinstance(failure, TimedOut) or failure.unsettled
                with anyio.CancelScope(shield=True):
                    await self._failed(region, model, placed_as, failure, seconds, may_run=may_run)
        return False

    async def _failed(
        self,
        region: Region,
        model: Model,
        call_id: str | None,
        failure: Failed | TimedOut,
        seconds: float,
        *,
        may_run: bool,
    ) -> None:
        """End the call, if it may run, and say so; a call that was never placed has nothing to end."""
        ended = call_id is None or not may_run or await self._executor.cancel(call_id)
        await self._emit(
            ev.WarmingFailed(
                at=self._clock(),
                region=region.id,
                model=model.id,
                call_id=call_id,
                seconds=seconds,
                failure=failure,
                ended=ended,
            )
        )
