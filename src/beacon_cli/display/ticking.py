"""Calls a function again and again for as long as a display is open. Knows nothing of runs."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup


class Ticking:
    """A task that calls `tick` every `every` seconds, on the event loop, between `start` and `stop`.

    `tick` runs beside whatever changes the standings and never at the same time. It must not raise.
    """

    def __init__(self, tick: Callable[[], None], every: float) -> None:
        self._tick = tick
        self._every = every
        self._ticks: anyio.CancelScope | None = None
        self._tasks: TaskGroup | None = None

    async def start(self) -> None:
        """Begin; the first call comes after `every` seconds."""
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._tasks, self._ticks = tasks, anyio.CancelScope()
        tasks.start_soon(self._run, self._ticks)

    async def stop(self) -> None:
        """End, in the task that began. Not cancelled itself, so that what comes after is done as well."""
        if self._tasks is None or self._ticks is None:
            return
        # The task has a scope of its own: a group whose scope is cancelled passes that on to who waits for it.
        self._ticks.cancel()
        self._tasks.cancel_scope.shield = True
        await self._tasks.__aexit__(None, None, None)
        self._tasks = None

    async def _run(self, ticks: anyio.CancelScope) -> None:
        with ticks:
            while True:
                await anyio.sleep(self._every)
                self._tick()
