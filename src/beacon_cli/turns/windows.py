"""Windows of pools, changed for a while and put back; what they were is on disk before they are touched.

A window that could not be kept is not changed: idle containers then end by themselves, later.
"""

from __future__ import annotations

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

    async def shorten(self, pool: str) -> None:
        """Let idle containers of a pool end soon. What fails is tried again at the next call."""
        if pool in self._before:
            return
        before = await self._containers.window(pool)
        if before is None:
            return
        if self._kept is not None:
            remember = partial(self._kept.remember, run_id=self._run_id, at=self._clock())
            try:
                before = await to_thread.run_sync(remember, pool, before, self._containers.coolest)
            except StoreError:
                return
        if await self._containers.cool(pool) is not None:
            self._before[pool] = before

    async def keep(self, pool: str) -> None:
        """Let a container of a pool live whether it is asked or not, until the window is put back.

        What fails is left: the container ends when its window does.
        """
        before = None if pool in self._before else await self._containers.window(pool)
        if before is None or before.min_containers:
            return
        kept = Window(seconds=before.seconds, min_containers=1)
        if self._kept is not None:
            remember = partial(self._kept.remember, run_id=self._run_id, at=self._clock())
            try:
                before = await to_thread.run_sync(remember, pool, before, kept)
            except StoreError:
                return
        if await self._containers.rewarm(pool, kept):
            self._before[pool] = before

    async def put_back(self, pool: str) -> None:
        """Make the window of a pool what it was, if this run has made it short."""
        before = self._before.get(pool)
        if before is not None and await self._containers.rewarm(pool, before):
            await self._forget(pool)
            self._before.pop(pool, None)  # another task may have put it back meanwhile

    async def put_all_back(self) -> None:
        """Put back what is still short at the run's end, unless another run has made it short too."""
        with anyio.move_on_after(_LEAVING, shield=True):
            with suppress(StoreError):
                others = {each.pool for each in await self._known() if each.run_id != self._run_id}
                for pool in [each for each in self._before if each not in others]:
                    await self.put_back(pool)

    async def left(self) -> list[Leftover]:
        """What runs have left short that are over; as far as it can be read, since no run needs it."""
        with suppress(StoreError):
            return [each for each in await self._known() if await to_thread.run_sync(self._is_over, each.run_id)]
        return []

    async def mend(self, left: Iterable[Leftover]) -> None:
        """Put this back where a pool's window is still the one that it was given."""
        for each in left:
            now = await self._containers.window(each.pool)
            if now is None or each.pool in self._before:
                continue
            if now != each.now or await self._containers.rewarm(each.pool, each.before):
                with suppress(StoreError):  # it is found again, and then the window is another
                    await self._forget(each.pool)

    async def _known(self) -> tuple[Leftover, ...]:
        return () if self._kept is None else await to_thread.run_sync(self._kept.every)

    async def _forget(self, pool: str) -> None:
        if self._kept is not None:
            await to_thread.run_sync(self._kept.forget, pool)
