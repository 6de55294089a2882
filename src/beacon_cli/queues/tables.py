"""The tables of a queue, as a port: what `tabled` needs of the place where they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from beacon_cli.priming import prime
from beacon_cli.tickets import Caps, FailedExecution, HowEnded, LogEntry, Part, Service, Ticket, Warm

KEPT_SERVICES = 100
"""How many turns of the past each region remembers."""

KEPT_FAILURES = 10_000
"""So many executions that failed for good are listed at most."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What a region remembers beside its tickets."""

    paused: bool = False
    completed: int = 0
    failed: int = 0
    succeeded_executions: int = 0
    failed_executions: int = 0
    services: tuple[Service, ...] = ()

    def counting(self, part: Part) -> Tally:
        """The same with one more part of a run that has ended."""
        asked = part.succeeded + part.failed
        services = (*self.services, Service(asked, part.seconds))[-KEPT_SERVICES:]
        return Tally(
            paused=self.paused,
            completed=self.completed + (part.how is HowEnded.COMPLETED),
            failed=self.failed + (part.how is HowEnded.FAILED),
            succeeded_executions=self.succeeded_executions + part.succeeded,
            failed_executions=self.failed_executions + part.failed,
            services=services if asked else self.services,
        )


prime(Tally)


class Tables(Protocol):
    """Where a queue is kept. All but `transaction` and `close` are called within a transaction."""

    def transaction(self, *, writes: bool = True, durable: bool = True) -> AbstractContextManager[None]:
        """The body sees and changes the tables alone, and wholly or not at all.

        With `durable` what was changed survives a power cut from then on; without, a killed process.
        """

    def close(self) -> None:
        """Let go of everything."""

    def caps(self) -> Caps | None:
        """The caps, once they are set."""

    def set_caps(self, caps: Caps) -> None:
        """Set the caps."""

    def emptied(self) -> float | None:
        """When the tables were found without what had been in them; None: nothing was lost that matters still."""

    def begin(self) -> None:
        """Nothing was lost that matters still."""

    def number(self) -> int:
        """The next number, higher than every one before."""

    def entered(self, now: float) -> float:
        """The time of an entry: now, and never before one that was given out."""

    def ticket(self, number: int) -> Ticket | None:
        """The ticket with this number."""

    def tickets(self, *, run_id: str = "", region: str = "", user: str = "", holder: str = "") -> list[Ticket]:
        """The tickets of which all that is given holds, by number."""

    def active(self) -> list[Ticket]:
        """Those that reserve GPUs, by number."""

    def overdue(self, now: float) -> list[Ticket]:
        """Those that wait and were not renewed in time, by number."""

    def waiting(self, region: str) -> Iterator[Ticket]:
        """Those that wait in a region and are not cancelled, in their order."""

    def waits(self, region: str, now: float) -> int:
        """How many wait in a region, are not cancelled and were renewed in time."""

    def position(self, ticket: Ticket) -> int:
        """The place of one of them, from 1."""

    def waited_in(self) -> list[str]:
        """The regions in which any of them waits."""

    def put(self, ticket: Ticket) -> None:
        """Keep a ticket, in place of the one with its number."""

    def remove(self, number: int) -> None:
        """Forget a ticket."""

    def tally(self, region: str) -> Tally:
        """What a region remembers."""

    def put_tally(self, region: str, tally: Tally) -> None:
        """Have a region remember."""

    def tallied(self) -> list[str]:
        """The regions that remember anything."""

    def warm(self) -> list[Warm]:
        """Every warm pool, by region and pool."""

    def put_warm(self, warm: Warm) -> None:
        """Keep a warm pool, in place of the one of its name."""

    def remove_warm(self, region: str, pool: str) -> None:
        """Forget a warm pool."""

    def lost(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """The holders that each run (by id) has lost in each region, in a row."""

    def set_lost(self, run_id: str, region: str, holders: Sequence[str]) -> None:
        """Those that it has lost by now."""

    def failures(self, run_id: str = "", region: str = "") -> list[FailedExecution]:
        """The executions that failed for good, of this run in this region or all; by time, id, run and region."""

    def put_failures(self, run_id: str, region: str, failures: Sequence[FailedExecution]) -> None:
        """Keep these in place of all of the run's in the region."""

    def failed_parts(self) -> list[tuple[str, str, int]]:
        """The runs and regions of which there are any, and how many: those that were put longest ago first."""

    def asked(self, user: str, since: float) -> int:
        """How many executions a user's turns were granted since then."""

    def add_asked(self, user: str, now: float, executions: int) -> None:
        """Count these too."""

    def log(self, since: int) -> list[LogEntry]:
        """The log's entries after this number."""

    def append(self, entry: LogEntry) -> int:
        """Write an entry, which gets the next number: this one."""

    def forget_log(self, before: int) -> None:
        """Forget the log's entries before this number."""

    def checkpoint(self) -> tuple[int, int]:
        """The numbers of the first and the last entry that say how everything stood; 0 if there are none yet."""

    def set_checkpoint(self, first: int, last: int) -> None:
        """Remember these numbers."""


def forget_failures(tables: Tables) -> None:
    """Of more failed executions than are kept, have the parts go that were told longest ago. In a transaction."""
    parts = tables.failed_parts()
    excess = sum(count for _, _, count in parts) - KEPT_FAILURES
    for run_id, region, count in parts:
        if excess <= 0:
            return
        tables.put_failures(run_id, region, ())
        excess -= count
