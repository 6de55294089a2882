"""A queue within one process. Knows nothing of other processes; what is in it ends with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from beacon_cli import granting
from beacon_cli.queues import logbook
from beacon_cli.queues.tabled import TabledStore
from beacon_cli.queues.tables import Tally
from beacon_cli.tickets import Caps, FailedExecution, LogEntry, Ticket, TicketState, Warm


def store(
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    *,
    log_kept: int = logbook.KEPT,
) -> TabledStore:
    """An empty store. `clock` is its own, `wall` gives times for people, in seconds; `logbook` has `log_kept`."""
    return TabledStore(_MemoryTables(), clock=clock, wall=wall, log_kept=log_kept)


class _MemoryTables:
    """See `tabled.Tables`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._caps: Caps | None = None
        self._number = 0
        self._entered = 0.0
        self._tickets: dict[int, Ticket] = {}
        self._tallies: dict[str, Tally] = {}
        self._warm: dict[tuple[str, str], Warm] = {}
        self._lost: dict[tuple[str, str], tuple[str, ...]] = {}
        self._failures: dict[tuple[str, str], tuple[FailedExecution, ...]] = {}
        self._asked: list[tuple[str, float, int]] = []
        self._log: list[LogEntry] = []
        self._forgotten = 0
        self._checkpoint = (0, 0)

    @contextmanager
    def transaction(self, *, writes: bool = True, durable: bool = True) -> Iterator[None]:
        del writes, durable
        with self._lock:
            yield

    def close(self) -> None:
        pass

    def caps(self) -> Caps | None:
        return self._caps

    def set_caps(self, caps: Caps) -> None:
        self._caps = caps

    def emptied(self) -> None:
        return None

    def begin(self) -> None:
        pass

    def number(self) -> int:
        self._number += 1
        return self._number

    def entered(self, now: float) -> float:
        self._entered = max(self._entered, now)
        return self._entered

    def ticket(self, number: int) -> Ticket | None:
        return self._tickets.get(number)

    def tickets(self, *, run_id: str = "", region: str = "", user: str = "", holder: str = "") -> list[Ticket]:
        return [
            each
            for each in self._by_number()
            if run_id in {"", each.run_id}
            and region in {"", each.region}
            and user in {"", each.user}
            and holder in {"", each.holder}
        ]

    def active(self) -> list[Ticket]:
        return [each for each in self._by_number() if each.is_active]

    def overdue(self, now: float) -> list[Ticket]:
        return [each for each in self._by_number() if each.state is TicketState.WAITING and each.expires < now]

    def waiting(self, region: str) -> Iterator[Ticket]:
        here = (each for each in self._tickets.values() if each.region == region and granting.waits(each))
        return iter(sorted(here, key=granting.place))

    def waits(self, region: str, now: float) -> int:
        return sum(each.expires >= now for each in self.waiting(region))

    def position(self, ticket: Ticket) -> int:
        return 1 + sum(granting.place(each) < granting.place(ticket) for each in self.waiting(ticket.region))

    def waited_in(self) -> list[str]:
        return sorted({each.region for each in self._tickets.values() if granting.waits(each)})

    def put(self, ticket: Ticket) -> None:
        self._tickets[ticket.id] = ticket

    def remove(self, number: int) -> None:
        del self._tickets[number]

    def tally(self, region: str) -> Tally:
        return self._tallies.get(region, Tally())

    def put_tally(self, region: str, tally: Tally) -> None:
        self._tallies[region] = tally

    def tallied(self) -> list[str]:
        return sorted(self._tallies)

    def warm(self) -> list[Warm]:
        return [self._warm[key] for key in sorted(self._warm)]

    def put_warm(self, warm: Warm) -> None:
        self._warm[warm.region, warm.pool] = warm

    def remove_warm(self, region: str, pool: str) -> None:
        del self._warm[region, pool]

    def lost(self) -> dict[tuple[str, str], tuple[str, ...]]:
        return dict(self._lost)

    def set_lost(self, run_id: str, region: str, holders: Sequence[str]) -> None:
        self._lost[run_id, region] = tuple(holders)
        if not holders:
            del self._lost[run_id, region]

    def failures(self, run_id: str = "", region: str = "") -> list[FailedExecution]:
        parts = [self._failures.get((run_id, region), ())] if run_id else self._failures.values()
        every = (each for part in parts for each in part)
        return sorted(every, key=lambda each: (each.at, each.execution, each.run_id, each.region))

    def put_failures(self, run_id: str, region: str, failures: Sequence[FailedExecution]) -> None:
        self._failures.pop((run_id, region), None)
        if failures:
            self._failures[run_id, region] = tuple(failures)

    def failed_parts(self) -> list[tuple[str, str, int]]:
        return [(run_id, region, len(part)) for (run_id, region), part in self._failures.items()]

    def asked(self, user: str, since: float) -> int:
        return sum(count for name, at, count in self._asked if name == user and at >= since)

    def add_asked(self, user: str, now: float, executions: int) -> None:
        self._asked.append((user, now, executions))

    def log(self, since: int) -> list[LogEntry]:
        return self._log[max(since - self._forgotten, 0) :]

    def append(self, entry: LogEntry) -> int:
        number = self._forgotten + len(self._log) + 1
        self._log.append(msgspec.structs.replace(entry, seq=number))
        return number

    def forget_log(self, before: int) -> None:
        gone = max(before - 1 - self._forgotten, 0)
        del self._log[:gone]
        self._forgotten += gone

    def checkpoint(self) -> tuple[int, int]:
        return self._checkpoint

    def set_checkpoint(self, first: int, last: int) -> None:
        self._checkpoint = (first, last)

    def _by_number(self) -> list[Ticket]:
        return [self._tickets[number] for number in sorted(self._tickets)]
