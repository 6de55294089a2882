"""Whether the queue's caps and its order held at every moment of the past, proved from its own log. Pure.

The log's entries are replayed from the first on; where older ones were forgotten, from how things stood then.
Nothing of the rules that grant turns is used, so that a fault in them is found here. What the log cannot show is
not proved: whether a user's limits really held those back whom a grant passed over, and what the provider did; its
own ledger says that.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import ClassVar

import msgspec

from beacon_cli.tickets import Caps, LogEntry, LogKind


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that was broken: the entry's number in the log and its time, the rule, and what was found."""

    seq: int
    at: float
    rule: str
    found: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay came to, of the period that was asked about.

    How many entries and grants, the most GPUs that were in use at any moment (by region, "" over all), and the
    times of the first and the last entry.
    """

    entries: int
    grants: int
    peaks: dict[str, int]
    violations: tuple[Violation, ...]
    first_at: float | None = None
    last_at: float | None = None
    is_whole: bool = True
    """Whether nothing of the period has been forgotten."""


class _Stand(msgspec.Struct, kw_only=True):
    """A ticket as the log has it so far."""

    run_id: str
    region: str
    rank: float
    gpus: int
    pools: dict[str, int]
    token: int = 0
    is_cancelled: bool = False

    @property
    def is_active(self) -> bool:
        return self.token > 0


def check(entries: Iterable[LogEntry], since: float = 0.0, until: float = math.inf) -> Proof:
    """Replay a log from its first entry, and say what it proves of a period (seconds since the epoch)."""
    replay = _Replay(since, until)
    for entry in entries:
        replay.take(entry)
    replay.begin()
    return Proof(
        entries=replay.entries,
        grants=replay.grants,
        peaks=replay.peaks,
        violations=tuple(replay.violations),
        first_at=replay.first_at,
        last_at=replay.last_at,
        is_whole=replay.is_whole,
    )


class _Replay:
    """The queue as the log has it so far, and what was wrong on the way."""

    def __init__(self, since: float, until: float) -> None:
        self._since, self._until = since, until
        self._counts = False
        """Whether the entry at hand is of the period that is asked about."""
        self._has_begun = False
        self.entries = 0
        self.grants = 0
        self.peaks: dict[str, int] = {"": 0}
        self.violations: list[Violation] = []
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.is_whole = True
        self._caps = Caps()
        self._begins = True
        self._tickets: dict[int, _Stand] = {}
        self._active: dict[int, _Stand] = {}
        self._order: dict[str, list[tuple[float, int]]] = {}
        """Who waits in each region and is not cancelled, in order."""
        self._warm: dict[tuple[str, str], int] = {}
        self._paused: set[str] = set()
        self._token = 0
        self._seq = 0

    def take(self, entry: LogEntry) -> None:
        """One entry more."""
        self._counts = self._since <= entry.at <= self._until
        if self._counts:
            self.entries += 1
            self.first_at = entry.at if self.first_at is None else self.first_at
            self.last_at = entry.at
        if entry.seq <= self._seq:
            self._blame(entry, "numbers", f"entry {entry.seq} stands after entry {self._seq}")
        self._seq = max(self._seq, entry.seq)
        self._begins &= entry.kind is LogKind.STANDING
        before, before_here = self._in_use(), self._in_use(entry.region)
        if entry.at >= self._since:
            self.begin()
        if taker := self._takers.get(entry.kind):
            taker(self, entry)
        self._watch_gpus(entry, before, before_here)

    def begin(self) -> None:
        """The period has begun: what was in use by then, was so in it."""
        if not self._has_begun:
            self._has_begun = True
            self._see_peaks(
                "", *(each.region for each in self._active.values()), *(where for where, _ in self._warm)
            )

    def _limit(self, entry: LogEntry) -> None:
        self._caps = entry.caps or self._caps

    def _stand(self, entry: LogEntry) -> None:
        """How something stood: known where the log begins with it; later it has been replayed already."""
        if not self._begins:
            return
        self.is_whole &= self._since > entry.at
        self._limit(entry)
        if entry.ticket:
            self._enter(entry)
            ticket = self._tickets[entry.ticket]
            ticket.is_cancelled = entry.detail == "cancelled"
            if ticket.is_cancelled or entry.token:
                self._pass_on(entry.ticket, ticket)
            self._lease(ticket, entry)
            self._token = max(self._token, entry.token)
        elif entry.detail == "paused":
            self._pause(entry)
        self._warm.update({(entry.region, pool): gpus for pool, gpus in entry.warm.items()})

    def _pause(self, entry: LogEntry) -> None:
        self._paused.add(entry.region)

    def _go_on(self, entry: LogEntry) -> None:
        self._paused.discard(entry.region)

    def _reclaim(self, entry: LogEntry) -> None:
        self._of(entry, active=True)

    def _enter(self, entry: LogEntry) -> None:
        if entry.ticket in self._tickets:
            self._blame(entry, "tickets", f"ticket {entry.ticket} is in the queue already")
        self._tickets[entry.ticket] = _Stand(
            run_id=entry.run_id,
            region=entry.region,
            rank=entry.rank,
            gpus=entry.gpus,
            pools=dict(entry.pools),
        )
        insort(self._order.setdefault(entry.region, []), (entry.rank, entry.ticket))

    def _cancel(self, entry: LogEntry) -> None:
        ticket = self._of(entry)
        if ticket is not None:
            ticket.is_cancelled = True
            self._pass_on(entry.ticket, ticket)

    def _grant(self, entry: LogEntry) -> None:
        self.grants += self._counts
        ticket = self._of(entry)
        if ticket is None:
            return
        if ticket.is_active:
            self._blame(entry, "leases", f"ticket {entry.ticket} has its turn already (token {ticket.token})")
        here = {key: each for key, each in self._active.items() if each.region == entry.region}
        twin = next((key for key, each in here.items() if each.run_id == ticket.run_id), entry.ticket)
        if twin != entry.ticket:
            self._blame(entry, "leases", f"run {ticket.run_id} has a turn there already (ticket {twin})")
        if entry.region in self._paused:
            self._blame(entry, "pauses", f"region {entry.region} is paused")
        if ticket.is_cancelled:
            self._blame(entry, "order", f"ticket {entry.ticket} was cancelled")
        elif not ticket.is_active:
            self._see_order(entry, ticket, self._caps.jobs_at_once - len(here))
        self._see_token(entry)
        self._pass_on(entry.ticket, ticket)
        self._lease(ticket, entry)
        for pool, gpus in ticket.pools.items():
            if self._warm.get((entry.region, pool), gpus + 1) <= gpus:
                del self._warm[entry.region, pool]  # it is taken over, and counts as the lease's
        busy, most = len({*here, entry.ticket}), self._caps.jobs_at_once
        if busy > most:
            self._blame(entry, "jobs at once", f"{busy} turns in region {entry.region}, of {most}")

    def _see_order(self, entry: LogEntry, ticket: _Stand, places: int) -> None:
        """The first of those who wait and are not held back is served; of several places, one of so many."""
        order = self._order[entry.region]
        first = order[: bisect_left(order, (ticket.rank, entry.ticket))]
        before = [number for _, number in first if number not in entry.passed]
        if len(before) >= max(1, places):
            named = ", ".join(map(str, before[:5]))
            self._blame(entry, "order", f"ticket {entry.ticket} was served before {named}")

    def _see_token(self, entry: LogEntry) -> None:
        if entry.token <= self._token:
            self._blame(entry, "tokens", f"token {entry.token} comes after token {self._token}")
        self._token = max(self._token, entry.token)

    def _inherit(self, entry: LogEntry) -> None:
        ticket = self._of(entry)
        if ticket is None:
            return
        if bool(entry.token) is not ticket.is_active:
            had, has = ("a turn" if each else "no turn" for each in (ticket.is_active, bool(entry.token)))
            self._blame(entry, "leases", f"ticket {entry.ticket} was taken up with {has}, and had {had}")
        if entry.token:
            self._see_token(entry)
        if ticket.is_cancelled and not entry.token:
            insort(self._order[entry.region], (ticket.rank, entry.ticket))
        ticket.is_cancelled = False
        self._lease(ticket, entry)

    def _lease(self, ticket: _Stand, entry: LogEntry) -> None:
        ticket.token, ticket.gpus, ticket.pools = entry.token, entry.gpus, dict(entry.pools)
        if ticket.is_active:
            self._active[entry.ticket] = ticket

    def _pass_on(self, number: int, ticket: _Stand) -> None:
        """The ticket waits no more."""
        order, mine = self._order[ticket.region], (ticket.rank, number)
        at = bisect_left(order, mine)
        if order[at : at + 1] == [mine]:
            del order[at]

    def _change(self, entry: LogEntry) -> None:
        ticket = self._of(entry, active=True)
        if ticket is None:
            return
        if sum(entry.pools.values()) > ticket.gpus:
            held = sum(entry.pools.values())
            self._blame(entry, "pools", f"ticket {entry.ticket} uses {held} GPUs for its pools, of {ticket.gpus}")
        ticket.pools = dict(entry.pools)

    def _remove(self, entry: LogEntry) -> None:
        ticket = self._of(entry)
        if ticket is None:
            return
        if entry.kind is LogKind.EXPIRED and ticket.is_active:
            self._blame(entry, "leases", f"ticket {entry.ticket} had its turn, and was not reclaimed")
        self._pass_on(entry.ticket, ticket)
        del self._tickets[entry.ticket]
        self._active.pop(entry.ticket, None)
        for pool, gpus in entry.warm.items():
            self._warm[entry.region, pool] = self._warm.get((entry.region, pool), 0) + gpus

    def _cool(self, entry: LogEntry) -> None:
        for pool in entry.warm:
            if self._warm.pop((entry.region, pool), None) is None:
                self._blame(entry, "pools", f"pool {pool} of region {entry.region} was not warm")

    def _of(self, entry: LogEntry, *, active: bool = False) -> _Stand | None:
        """The ticket that the entry is of; there has to be one, and where `active`, with its turn."""
        ticket = self._tickets.get(entry.ticket)
        if ticket is None:
            self._blame(entry, "tickets", f"ticket {entry.ticket} is not in the queue ({entry.kind})")
        elif active and not ticket.is_active:
            self._blame(entry, "leases", f"ticket {entry.ticket} has no turn ({entry.kind})")
        return ticket

    def _in_use(self, region: str = "") -> int:
        reserved = sum(each.gpus for each in self._active.values() if region in {"", each.region})
        return reserved + sum(gpus for (where, _), gpus in self._warm.items() if region in {"", where})

    def _watch_gpus(self, entry: LogEntry, before: int, before_here: int) -> None:
        """The caps may be lowered below what is in use; from then on it may not grow."""
        for region, was, most in (
            (entry.region, before_here, self._caps.gpus_per_region),
            ("", before, self._caps.gpus_total),
        ):
            now = self._in_use(region)
            if self._counts:
                self._see_peaks(region)
            if now > most and now > was:
                where = f"in region {region}" if region else "over all"
                self._blame(entry, "GPUs", f"{now} GPUs reserved or warm {where}, of {most}")

    def _see_peaks(self, *regions: str) -> None:
        for region in regions:
            self.peaks[region] = max(self.peaks.get(region, 0), self._in_use(region))

    def _blame(self, entry: LogEntry, rule: str, found: str) -> None:
        if self._counts:
            self.violations.append(Violation(seq=entry.seq, at=entry.at, rule=rule, found=found))

    _takers: ClassVar[dict[LogKind, Callable[[_Replay, LogEntry], None]]] = {
        LogKind.CAPS: _limit,
        LogKind.STANDING: _stand,
        LogKind.ENTERED: _enter,
        LogKind.GRANTED: _grant,
        LogKind.INHERITED: _inherit,
        LogKind.POOLS: _change,
        LogKind.LEFT: _remove,
        LogKind.EXPIRED: _remove,
        LogKind.RECLAIMING: _reclaim,
        LogKind.RECLAIMED: _remove,
        LogKind.CANCELLED: _cancel,
        LogKind.WARM_GONE: _cool,
        LogKind.PAUSED: _pause,
        LogKind.UNPAUSED: _go_on,
    }
