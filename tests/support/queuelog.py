"""The queue's log played again, by rules of its own: what must hold after each entry, whatever store wrote it."""

from __future__ import annotations

from collections.abc import Iterable

from beacon_cli.tickets import Caps, LogEntry, LogKind

_IN_QUEUE = frozenset({LogKind.ENTERED, LogKind.INHERITED, LogKind.POOLS, LogKind.CANCELLED, LogKind.RECLAIMING})
_OUT = frozenset({LogKind.LEFT, LogKind.EXPIRED, LogKind.RECLAIMED})


class Replay:
    """The queue as its log says it is: tickets with their last entries, leases, warm pools."""

    def __init__(self) -> None:
        self.caps = Caps()
        self.waiting: dict[int, LogEntry] = {}
        self.leases: dict[int, LogEntry] = {}
        self.warm: dict[tuple[str, str], int] = {}
        self._cancelled: set[int] = set()
        self._seq = 0
        self._token = 0
        self._left_over: dict[str, int] = {}

    def used(self, region: str = "") -> int:
        """GPUs that count in a region, or in all."""
        held = sum(each.gpus for each in self.leases.values() if region in {"", each.region})
        return held + sum(gpus for (where, _), gpus in self.warm.items() if region in {"", where})

    def play(self, entries: Iterable[LogEntry]) -> None:
        """Take these up, and check after each."""
        for entry in entries:
            self._seq += 1
            assert entry.seq == self._seq
            self._take(entry)
            self._check()

    def _take(self, entry: LogEntry) -> None:
        if entry.kind is LogKind.CAPS:
            assert entry.caps is not None
            self.caps = entry.caps
            self._left_over = {region: self.used(region) for region in ("", *(where for where, _ in self.warm))}
        elif entry.kind is LogKind.GRANTED:
            self._grant(entry)
        elif entry.kind in _IN_QUEUE:
            self._put(entry)
        elif entry.kind in _OUT:
            self._remove(entry)
        elif entry.kind is LogKind.WARM_GONE:
            for pool, gpus in entry.warm.items():
                assert self.warm.pop((entry.region, pool)) == gpus

    def _put(self, entry: LogEntry) -> None:
        place = self.leases if entry.ticket in self.leases else self.waiting
        place[entry.ticket] = entry
        if entry.kind is LogKind.INHERITED:
            self._cancelled.discard(entry.ticket)
            self._new_token(entry)
        if entry.kind is LogKind.CANCELLED:
            self._cancelled.add(entry.ticket)

    def _remove(self, entry: LogEntry) -> None:
        if entry.ticket in self.leases:
            del self.leases[entry.ticket]
        else:
            del self.waiting[entry.ticket]
            assert not entry.warm
        for pool, gpus in entry.warm.items():
            self.warm[entry.region, pool] = self.warm.get((entry.region, pool), 0) + gpus

    def _grant(self, entry: LogEntry) -> None:
        place = (entry.rank, entry.ticket)
        assert self.waiting.pop(entry.ticket).rank == entry.rank
        assert entry.ticket not in self._cancelled
        earlier = {
            number
            for number, each in self.waiting.items()
            if each.region == entry.region and (each.rank, number) < place and number not in self._cancelled
        }
        assert earlier == set(entry.passed), "passed over, and not named"
        self._new_token(entry)
        self.leases[entry.ticket] = entry
        for pool, gpus in entry.pools.items():
            if self.warm.get((entry.region, pool), gpus + 1) <= gpus:
                del self.warm[entry.region, pool]

    def _new_token(self, entry: LogEntry) -> None:
        if entry.token:
            assert entry.token > self._token
            self._token = entry.token

    def _check(self) -> None:
        """Caps hold, but for what was warm when they were made smaller."""
        assert self.used() <= max(self.caps.gpus_total, self._left_over.get("", 0))
        for region in {each.region for each in self.leases.values()}:
            assert self.used(region) <= max(self.caps.gpus_per_region, self._left_over.get(region, 0))
            assert sum(each.region == region for each in self.leases.values()) <= self.caps.jobs_at_once
