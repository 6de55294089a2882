"""The queue's log, replayed without beacon's own code: does it break a cap, or the order?"""

from __future__ import annotations

from collections.abc import Iterable

from beacon_cli.tickets import Caps, LogEntry, LogKind

_ENDS = {LogKind.LEFT, LogKind.RECLAIMED, LogKind.EXPIRED}


class Replay:
    """The queue as its log tells it; `faults` is what should not be."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.grants: dict[str, list[str]] = {}
        """The runs in the order of their turns, by region; taken up again counts as granted."""
        self._caps = Caps()
        self._waiting: dict[int, LogEntry] = {}
        self._active: dict[int, LogEntry] = {}
        self._warm: dict[tuple[str, str], int] = {}
        self._token = 0

    @classmethod
    def of(cls, log: Iterable[LogEntry]) -> Replay:
        """The replay of a whole log."""
        replay = cls()
        for entry in log:
            replay._take(entry)
            replay._look(entry)
        return replay

    def _take(self, entry: LogEntry) -> None:
        match entry.kind:
            case LogKind.CAPS:
                self._caps = entry.caps or Caps()
            case LogKind.ENTERED:
                self._waiting[entry.ticket] = entry
            case LogKind.GRANTED:
                self._grant(entry)
            case LogKind.INHERITED if entry.token:
                self._fence(entry)
                self._active[entry.ticket] = entry
                self.grants.setdefault(entry.region, []).append(entry.run_id)
            case LogKind.POOLS:
                self._active[entry.ticket] = entry
            case kind if kind in _ENDS:
                self._waiting.pop(entry.ticket, None)
                self._active.pop(entry.ticket, None)
                for pool, gpus in entry.warm.items():
                    self._warm[entry.region, pool] = gpus
            case LogKind.WARM_GONE:
                for pool in entry.warm:
                    self._warm.pop((entry.region, pool), None)

    def _grant(self, entry: LogEntry) -> None:
        self._fence(entry)
        mine = self._waiting.pop(entry.ticket, None)
        if mine is None:
            self.faults.append(f"{entry.seq}: a grant to a ticket that does not wait")
        for other in self._waiting.values():
            before = (other.rank, other.ticket) < (entry.rank, entry.ticket)
            if other.region == entry.region and before and other.ticket not in entry.passed:
                self.faults.append(f"{entry.seq}: {entry.run_id} overtook {other.run_id} in {entry.region}")
        self._active[entry.ticket] = entry
        for pool, gpus in entry.pools.items():
            if self._warm.get((entry.region, pool), 0) <= gpus:
                self._warm.pop((entry.region, pool), None)
        self.grants.setdefault(entry.region, []).append(entry.run_id)

    def _fence(self, entry: LogEntry) -> None:
        if entry.token <= self._token:
            self.faults.append(f"{entry.seq}: token {entry.token} is not higher than {self._token}")
        self._token = entry.token

    def _look(self, entry: LogEntry) -> None:
        used: dict[str, int] = {}
        for each in self._active.values():
            used[each.region] = used.get(each.region, 0) + max(each.gpus, sum(each.pools.values()))
        for (region, _), gpus in self._warm.items():
            used[region] = used.get(region, 0) + gpus
        for region, gpus in used.items():
            if gpus > self._caps.gpus_per_region:
                self.faults.append(f"{entry.seq}: {gpus} GPUs in {region}")
        if sum(used.values()) > self._caps.gpus_total:
            self.faults.append(f"{entry.seq}: {sum(used.values())} GPUs over all")
