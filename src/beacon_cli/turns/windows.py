"""Windows of pools, changed for a while and put back; what they were is on disk before they are touched.

A window that could not be kept is not changed: idle containers then end by themselves, later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

import anyio
from anyio import to_thread

from beacon_cli.errors import StoreError
from beacon_cli.leftovers import Leftover, Leftovers
from beacon_cli.model import Window
from beacon_cli.ports import Containers

_LEAVING = 3.0
"""Seconds for which windows are put back when the run ends; whoever comes next puts back the rest."""


class Windows:
    """The windows that one run has changed. Without `kept` the provider ends with the run.

    `is_over` says whether the run with this id goes on no more; `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        containers: Containers,
        kept: Leftovers | None,
        *,
        run_id: str,
        is_over: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._containers = containers
        self._kept = kept
        self._run_id = run_id
        self._is_over = is_over
        self._clock = clock
        self._before: dict[str, Window] = {}
        self._alone = defaultdict[str, anyio.Lock](anyio.Lock)

    @property
    def changed(self) -> int:
        """How many pools have a window that this run changed and has not put back, and that outlives it."""
        return 0 if self._kept is None else len(self._before)

    async def shorten(self, pool: str) -> None:
        """Let idle containers of a pool end soon. What fails is tried again at the next call."""
        async with self._alone[pool]:
            before = None if pool in self._before else await self._containers.window(pool)
            if before is None or not await self._remember(pool, before, self._containers.coolest):
                return
            if await self._containers.cool(pool) is None:
                del self._before[pool]

    async def keep(self, pool: str) -> None:
        """Let a container of a pool live whether it is asked or not, until the window is put back.

        What fails is left: the container ends when its window does.
        """
        async with self._alone[pool]:
            before = None if pool in self._before else await self._containers.window(pool)
            if before is None or (before.min_containers and not await self._is_left(pool, before)):
                return
            kept = Window(seconds=before.seconds, min_containers=1)
            if await self._remember(pool, before, kept):
                await self._containers.rewarm(pool, kept)

    async def _remember(self, pool: str, before: Window, now: Window) -> bool:
        """Note what is to be put back, before anything is changed: a stop in the midst of the change finds it."""
        if self._kept is None:
            self._before[pool] = before
            return True
        remember = partial(self._kept.remember, run_id=self._run_id, at=self._clock())
        with anyio.CancelScope(shield=True):  # the thread goes on to its end in any case
            try:
                self._before[pool] = await to_thread.run_sync(remember, pool, before, now)
            except StoreError:
                return False
        return True

    async def _is_left(self, pool: str, window: Window) -> bool:
        """Whether a pool has this window from a run that is over, so that it is to be put back."""
        return any(each.pool == pool and each.now == window and each.run_id for each in await self.left())

    async def put_back(self, pool: str) -> None:
        """Make the window of a pool what it was, if this run has changed it."""
        async with self._alone[pool]:
            before = self._before.get(pool)
            if before is not None and await self._containers.rewarm(pool, before):
                with suppress(StoreError):  # it is found again, and then the window is another
                    await self._forget(pool)
                del self._before[pool]

    async def put_all_back(self) -> None:
        """Put back what is still changed at the run's end, unless another run has changed it too."""
        with anyio.move_on_after(_LEAVING, shield=True):
            others = set[str]()
            with suppress(StoreError):
                others = {each.pool for each in await self._known() if each.run_id != self._run_id}
            for pool in others & set(self._before):
                del self._before[pool]
            async with anyio.create_task_group() as group:
                for pool in self._before:
                    group.start_soon(self.put_back, pool)

    async def left(self) -> list[Leftover]:
        """What runs have left short that are over; as far as it can be read, since no run needs it."""
        with suppress(StoreError):
            return [each for each in await self._known() if await to_thread.run_sync(self._is_over, each.run_id)]
        return []

    async def mend(self, left: Iterable[Leftover]) -> None:
        """Put this back where a pool's window is still the one that it was given."""
        for each in left:
            async with self._alone[each.pool]:
                await self._mend(each)

    async def _mend(self, each: Leftover) -> None:
        now = None if each.pool in self._before else await self._containers.window(each.pool)
        if now is None:
            return
        if now != each.now or await self._containers.rewarm(each.pool, each.before):
            with suppress(StoreError):  # it is found again, and then the window is another
                await self._forget(each.pool)

    async def _known(self) -> tuple[Leftover, ...]:
        return () if self._kept is None else await to_thread.run_sync(self._kept.every)

    async def _forget(self, pool: str) -> None:
        if self._kept is not None:
            await to_thread.run_sync(self._kept.forget, pool)
