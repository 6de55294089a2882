"""The queue's snapshot for many readers: read from the store at most once in a while, whoever asks."""

from __future__ import annotations

import time

import anyio
from anyio import to_thread

from beacon_cli.ports import Store
from beacon_cli.tickets import Snapshot

FRESH = 0.25
"""Seconds for which a snapshot is given again."""


class Watch:
    """Gives the queue as it is now, or was a moment ago."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reading = anyio.Lock()
        self._latest: Snapshot | None = None
        self._aside: dict[str, tuple[str, ...]] = {}
        self._read_at = 0.0

    async def snapshot(self) -> Snapshot:
        """The queue.

        Raises:
            StoreError: it cannot be read.
        """
        async with self._reading:
            if self._latest is None or time.monotonic() - self._read_at > FRESH:
                self._aside = await to_thread.run_sync(self._store.set_aside)
                self._latest = await to_thread.run_sync(self._store.snapshot)
                self._read_at = time.monotonic()
            return self._latest

    async def set_aside(self) -> dict[str, tuple[str, ...]]:
        """The runs that are refused, each with its regions: see `ports.Store.set_aside`.

        Raises:
            StoreError: as `snapshot`.
        """
        await self.snapshot()
        return self._aside
