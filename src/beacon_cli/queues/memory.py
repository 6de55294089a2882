"""A queue within one process: for rehearsals and tests. Knows nothing of other processes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class MemoryQueue:
    """One run at a time in each region, first come, first served; regions are independent."""

    def __init__(self) -> None:
        self._regions: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

    @asynccontextmanager
    async def turn(self, run_id: str, region: str) -> AsyncIterator[None]:  # noqa: ARG002 - the port names the run
        """See `ports.Queue.turn`."""
        async with self._regions[region]:
            yield
