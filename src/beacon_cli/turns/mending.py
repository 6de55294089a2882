"""What stands in the way at the provider: calls of holders that are gone, idle containers of other models.

Nothing here takes anything for granted: a call has ended and a container is gone when the provider says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import anyio
from anyio import to_thread

from beacon_cli.errors import StoreError
from beacon_cli.ports import Containers, Executor, Store
from beacon_cli.tickets import Warm
from beacon_cli.turns.windows import Windows

_BETWEEN_LOOKS = 0.2
"""Seconds between two looks at pools that are to become empty."""
_BETWEEN_TRIES = 0.5
"""Seconds between two tries to end what a dead lease left behind."""


class Mender:
    """Reclaims and cools for one holder.

    A duty to reclaim, once taken, is the holder's as long as it lives: `attend` sees to those that could not be
    done at once, whether the holder waits still or not.
    """

    def __init__(
        self, store: Store, holder: str, *, executor: Executor, containers: Containers, windows: Windows
    ) -> None:
        self._store = store
        self._holder = holder
        self._executor = executor
        self._containers = containers
        self._windows = windows
        self._duties: set[int] = set()
        self._owes = anyio.Event()
        self._at_work = anyio.Lock()

    async def reclaim(self, tickets: Iterable[int]) -> bool:
        """End what dead leases left behind, and free it. False: something is not known to have ended yet.

        Raises:
            StoreError: the store failed.
        """
        async with self._at_work:
            freed = [await self._reclaim(ticket) for ticket in tickets]
        return all(freed)

    async def attend(self) -> None:
        """Try again what has not ended yet; returns when cancelled."""
        while True:
            if not self._duties:
                self._owes = anyio.Event()
                await self._owes.wait()
            await anyio.sleep(_BETWEEN_TRIES)
            with suppress(StoreError):  # the store is asked again in a moment
                await self.reclaim(sorted(self._duties))

    async def _reclaim(self, ticket: int) -> bool:
        dead = await to_thread.run_sync(self._store.reclaim, ticket, self._holder)
        if dead is None:
            self._duties.discard(ticket)  # it is free, or another's
            return True
        self._duties.add(ticket)
        self._owes.set()
        if not await self.ended(dead.calls):
            return False
        warm = await self._idle(dead.pools)
        if warm is None:
            return False
        await to_thread.run_sync(self._store.reclaimed, ticket, self._holder, warm)
        self._duties.discard(ticket)
        return True

    async def cool(self, idle: Iterable[Warm]) -> None:
        """Let idle containers end, and free the GPUs of those that are gone."""
        for each in idle:
            if await self._is_empty(each.pool):
                await to_thread.run_sync(self._store.gone, each)

    async def empty(self, pools: Iterable[str]) -> None:
        """Return once none of these pools has a container: shortens their windows meanwhile."""
        left = list(pools)
        while left:
            left = [pool for pool in left if not await self._is_empty(pool)]
            if left:
                await anyio.sleep(_BETWEEN_LOOKS)

    async def warm(self, pools: Mapping[str, int]) -> dict[str, int]:
        """Those of these pools that may have containers now."""
        standings = {pool: await self._containers.standing(pool) for pool in pools}
        return {pool: gpus for pool, gpus in pools.items() if (now := standings[pool]) is None or not now.empty}

    async def ended(self, calls: Iterable[str]) -> bool:
        """Whether all of these calls are known to have ended, now that they are cancelled."""
        confirmed: list[bool] = []

        async def cancel(call: str) -> None:
            confirmed.append(await self._executor.cancel(call))

        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(cancel, call)
        return all(confirmed)

    async def _idle(self, pools: Mapping[str, int]) -> dict[str, int] | None:
        """Those of these pools that have containers, all idle; None: not known to be idle.

        A call of which only the intent was known runs without an id: it shows here.
        """
        warm: dict[str, int] = {}
        for pool, gpus in pools.items():
            standing = await self._containers.standing(pool)
            if standing is None or standing.running or standing.backlog:
                return None
            if not standing.empty:
                warm[pool] = gpus
        return warm

    async def _is_empty(self, pool: str) -> bool:
        """Whether a pool has no container; if it has, its window is short from now on until it is found empty."""
        standing = await self._containers.standing(pool)
        if standing is not None and standing.empty:
            with suppress(StoreError):  # what is remembered for too long does no harm
                await self._windows.put_back(pool)
            return True
        if standing is not None:
            await self._windows.shorten(pool)
        return False
