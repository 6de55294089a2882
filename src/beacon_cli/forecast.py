"""When the tickets of a queue may expect their turn, from how long turns took before. Pure; reads no clock."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from beacon_cli.tickets import RegionLine, Snapshot

FARTHEST = 366 * 86_400.0
"""Seconds beyond which nobody can say when a turn comes; far enough on, there is no date for it any more."""


def starts(snapshot: Snapshot) -> dict[int, float | None]:
    """When each waiting ticket (by number) may expect its turn, in seconds since the epoch; None: nobody can say.

    Each execution is taken to need as long as those of the region's turns of the past did on average, and each
    place among the jobs at once to be free when its job has done its executions. Whom a user's limit holds back is
    passed by others, and nobody can say for how long. GPUs of other regions and pauses are left out.
    """
    expected: dict[int, float | None] = {}
    for line in snapshot.regions.values():
        expected |= in_region(line, snapshot)
    return expected


def in_region(line: RegionLine, snapshot: Snapshot) -> dict[int, float | None]:
    """As `starts`, for the tickets of one of its regions."""
    seconds = seconds_each(line)
    if seconds is None or line.paused:
        return {ticket.id: None for ticket in line.waiting}
    soonest = snapshot.at + snapshot.quiet
    free = [max(soonest, (each.started_at or snapshot.at) + each.executions * seconds) for each in line.active]
    free += [soonest] * max(0, snapshot.caps.jobs_at_once - len(free))
    heapify(free)
    expected: dict[int, float | None] = {}
    for ticket in line.waiting:
        if ticket.id in line.held:
            expected[ticket.id] = None
            continue
        at = heappop(free)
        expected[ticket.id] = at if at - snapshot.at <= FARTHEST else None
        heappush(free, at + ticket.executions * seconds)
    return expected


def seconds_each(line: RegionLine) -> float | None:
    """How many seconds of a turn one execution took in the past, on average; None: there is no past."""
    executions = sum(service.executions for service in line.services)
    return sum(service.seconds for service in line.services) / executions if executions else None
