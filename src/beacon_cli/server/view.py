"""How a job stands, as the server says it. Pure; reads no clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Sequence

from beacon_cli import forecast
from beacon_cli.model import JsonObject
from beacon_cli.moments import utc
from beacon_cli.runs import Summary
from beacon_cli.server.book import Entry
from beacon_cli.tickets import Snapshot, Ticket, TicketState

STATES = (
    "accepted",
    "waiting",
    "running",
    "finished",
    "failed",
    "interrupted",
    "cancelled",
    "set aside",
)
"""Accepted: it has no ticket yet. Waiting: it has, and no turn in any region. What follows is `book.Stage`."""

_COUNTS = ("planned", "succeeded", "failed", "skipped", "cancelled")


def job(entry: Entry, summary: Summary | None, snapshot: Snapshot, *, ahead: int = 0) -> JsonObject:
    """A job's entry, what its run folder says, and where it stands in the queue.

    `position` and `expected_at` are those of the region whose turn is nearest; null while it waits in none.
    `ahead` is how many jobs the server will start before it.
    """
    places = _places(snapshot, {entry.run_id}).get(entry.run_id, [])
    has_begun = summary is not None and summary.job is not None
    return {
        **_head(entry, places, has_begun=has_begun, ahead=ahead),
        "rehearsal": summary.rehearsal if summary and has_begun else None,
        "regions": places,
        "executions": {name: getattr(summary, name) for name in _COUNTS} if has_begun else None,
        "seconds": summary.seconds if summary else None,
    }


def listed(
    entries: Sequence[Entry], snapshot: Snapshot, ahead: Callable[[Entry], int], begun: Container[str]
) -> list[JsonObject]:
    """Jobs in a list: what `job` says but for what only a run's folder knows; `begun` are runs that have one."""
    places = _places(snapshot, {each.run_id for each in entries})
    return [
        _head(each, places.get(each.run_id, []), has_begun=each.run_id in begun, ahead=ahead(each))
        for each in entries
    ]


def _head(entry: Entry, places: list[JsonObject], *, has_begun: bool, ahead: int) -> JsonObject:
    waiting = [place for place in places if place["position"] is not None]
    nearest = min(waiting, key=lambda place: (place["position"], place["expected_at"] or "~"), default=None)
    state = _state(entry, places, has_begun=has_begun)
    return {
        "run_id": entry.run_id,
        "job_id": entry.job_id,
        "state": state,
        "reason": entry.reason,
        "priority": entry.priority.value,
        "posted_at": utc(entry.at),
        "ahead": ahead,
        "position": nearest["position"] if nearest and state == "waiting" else None,
        "expected_at": nearest["expected_at"] if nearest and state == "waiting" else None,
    }


def _state(entry: Entry, places: list[JsonObject], *, has_begun: bool) -> str:
    if not entry.is_open:
        return entry.stage.value
    if any(place["position"] is None for place in places):
        return "running"
    if places:
        return "waiting"
    return "running" if has_begun else "accepted"


def _places(snapshot: Snapshot, runs: Container[str]) -> dict[str, list[JsonObject]]:
    """Where each of these runs has a ticket: its position, or since when it has its turn."""
    found: dict[str, list[JsonObject]] = defaultdict(list)
    starts = forecast.starts(snapshot)
    for line in snapshot.regions.values():
        for each in line.active:
            if each.state is TicketState.HOLDING and each.run_id in runs:
                found[each.run_id].append(_place(each, None, None))
        for position, each in enumerate(line.waiting, start=1):
            if each.run_id in runs:
                found[each.run_id].append(_place(each, position, starts.get(each.id)))
    return found


def _place(ticket: Ticket, position: int | None, expected_at: float | None) -> JsonObject:
    return {
        "region": ticket.region.upper(),
        "position": position,
        "expected_at": None if expected_at is None else utc(expected_at),
        "started_at": None if ticket.started_at is None or position is not None else utc(ticket.started_at),
        "question": ticket.question,
        "models": list(ticket.working),
    }
