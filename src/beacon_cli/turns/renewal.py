"""Keeping tickets and leases alive, from a thread of its own: a busy event loop must not cost a run its turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from beacon_cli.errors import StoreError
from beacon_cli.ports import Store
from beacon_cli.tickets import Order

BEATS = 5
"""How many times a lease is renewed in the time after which it would end."""
TRUSTED = 0.8
"""The part of that time for which a holder trusts a lease that it could not renew; clocks may differ."""


class Renewal:
    """Renews everything of one holder. `clock` gives seconds that run on while the process is stopped."""

    def __init__(self, store: Store, holder: str, lease_seconds: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._holder = holder
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="renewal of leases", daemon=True)
        self.renewed_at = clock()
        """When the last renewal that succeeded was begun."""
        self.orders: Mapping[int, Order] = {}
        """What it said, by ticket."""
        self.trouble = ""
        """Why the last one failed; empty if it did not."""

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def end(self) -> None:
        """Renew no more. Returns once the thread has ended, or is in a store that does not answer."""
        self._done.set()
        self._thread.join(timeout=1.0)

    def now(self) -> float:
        """The time on the clock that `renewed_at` is of."""
        return self._clock()

    @property
    def is_trusted(self) -> bool:
        """Whether what was renewed last is ours still, whatever became of the store since."""
        return self._clock() - self.renewed_at < self._lease_seconds * TRUSTED

    def renew(self) -> None:
        """Renew now. Any thread may; a store that fails leaves its reason in `trouble`."""
        with self._lock:
            began = self._clock()
            try:
                orders = self._store.renew(self._holder)
            except StoreError as error:
                self.trouble = str(error)
                return
            self.orders = {order.ticket: order for order in orders}
            self.renewed_at = began  # after the orders, for whoever looks from another thread
            self.trouble = ""

    def _beat(self) -> None:
        while not self._done.wait(self._lease_seconds / BEATS):
            self.renew()
