"""A region's slots: granted in the order of the work, not of the asking. Knows nothing of what they are for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heapify, heappop, heappush

import anyio


class Slots:
    """`count` slots; of those who wait, the one with the lowest `order` is served first.

    A `CapacityLimiter` serves first come, first served; here a retry that comes back takes the place that it had.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = count
        """How many are free; below 0, how many are held that should not be there any more."""
        self._waiting: list[tuple[int, anyio.Event]] = []

    @asynccontextmanager
    async def slot(self, order: int) -> AsyncIterator[None]:
        """Hold a slot for the body. `order` must differ among those who wait."""
        await self._acquire(order)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, order: int) -> None:
        if self._free > 0:
            self._free -= 1
            return
        granted = anyio.Event()
        heappush(self._waiting, (order, granted))
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():
                self._release()
            else:
                self._waiting.remove((order, granted))
                heapify(self._waiting)
            raise

    def resize(self, count: int) -> None:
        """From now on there are `count` slots. Those above it that are held are taken back as they become free."""
        change = count - self._count
        self._count = count
        if change < 0:
            self._free += change
        for _ in range(change):
            self._release()

    def _release(self) -> None:
        if self._waiting and self._free >= 0:
            heappop(self._waiting)[1].set()
        else:
            self._free += 1
