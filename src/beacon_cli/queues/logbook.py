"""The queue's own log in tables: what is told in it, and what is forgotten so that it does not grow for ever.

After every so many entries the log says how everything stands, and what came before the last such point is
forgotten. So it always begins with its first entry or with such a point, and what follows can be proved from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from beacon_cli import granting
from beacon_cli.queues.tables import Tables
from beacon_cli.tickets import LogEntry, LogKind, Ticket

KEPT = 20_000
"""So many entries at least are there to be proved, and not many more than twice as many."""


class Logbook:
    """Writes to the log of these tables, within their transactions; `wall` gives the times for people."""

    def __init__(self, tables: Tables, wall: Callable[[], float], kept: int) -> None:
        self._tables = tables
        self._wall = wall
        self._kept = kept

    def tell_of(self, kind: LogKind, ticket: Ticket, **more: Any) -> None:
        """Say what has become of a ticket; the tables show it already."""
        self.tell(kind, **granting.told(ticket), **more)

    def tell(self, kind: LogKind, **more: Any) -> None:
        """Say what has happened; the tables show it already."""
        number = self._append(kind, more)
        first, last = self._tables.checkpoint()
        if number - last >= self._kept:
            self._tables.forget_log(first)
            for standing in self._standing():
                last = self._append(LogKind.STANDING, standing)
            self._tables.set_checkpoint(number + 1, last)

    def _append(self, kind: LogKind, said: dict[str, Any]) -> int:
        return self._tables.append(LogEntry(seq=0, at=self._wall(), kind=kind, **said))

    def _standing(self) -> Iterator[dict[str, Any]]:
        """How everything stands, an entry each: the caps, paused regions, tickets, warm pools."""
        tables = self._tables
        yield {"caps": tables.caps()}
        for region in tables.tallied():
            if tables.tally(region).paused:
                yield {"region": region, "detail": "paused"}
        for ticket in tables.tickets():
            yield {**granting.told(ticket), "detail": "cancelled" if ticket.cancelled_by else ""}
        for idle in tables.warm():
            yield {"region": idle.region, "warm": {idle.pool: idle.gpus}}
