"""The queue's status as `queue-status --json` and the server give it: the original system's form, with more in it.

No field of the original is changed: `queues` by region in capitals; of each `region`, `queue_size`, `processing`,
`current_job` (`job_id`, `model`, `region`, `queued_at`, `started_at`), `completed` and `failed`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from beacon_cli import forecast
from beacon_cli.model import JsonObject
from beacon_cli.moments import utc
from beacon_cli.tickets import RegionLine, Snapshot, Ticket, TicketState, Warm


def to_record(
    snapshot: Snapshot, regions: Iterable[str], set_aside: Mapping[str, Iterable[str]] | None = None
) -> JsonObject:
    """The whole queue; `regions` (by id) are there whether anybody ever asked for them or not, and come first.

    `set_aside` has the runs that are refused, each with its regions: see `ports.Store.set_aside`. Before
    `quiet_until` nobody is served, since the store is new, was restarted or lost its data; null: somebody may be.
    """
    names = list(dict.fromkeys([*regions, *snapshot.regions]))
    lines = {name: snapshot.regions.get(name, RegionLine(region=name)) for name in names}
    return {
        "queues": {name.upper(): region(line, snapshot) for name, line in lines.items()},
        "at": utc(snapshot.at),
        "gpus": {"in_use": sum(line.gpus for line in lines.values()), "limit": snapshot.caps.gpus_total},
        "quiet_until": utc(snapshot.at + snapshot.quiet) if snapshot.quiet else None,
        "set_aside": {run_id: list(where) for run_id, where in (set_aside or {}).items()},
    }


def region(line: RegionLine, snapshot: Snapshot) -> JsonObject:
    """One region's part of it."""
    working = [each for each in line.active if each.state is TicketState.HOLDING]
    starts = forecast.in_region(line, snapshot)
    return {
        "region": line.region.upper(),
        "queue_size": line.queue_size,
        "processing": bool(working),
        "current_job": job(working[0]) if working else None,
        "completed": line.completed,
        "failed": line.failed,
        "executions": {"succeeded": line.succeeded_executions, "failed": line.failed_executions},
        "gpus": {
            "in_use": line.gpus,
            "idle": sum(each.gpus for each in line.warm),
            "limit": snapshot.caps.gpus_per_region,
        },
        "warm": [warm(each, snapshot) for each in line.warm],
        "paused": line.paused,
        "jobs": [job(each) for each in working],
        "reclaiming": [each.run_id for each in line.active if each.state is TicketState.RECLAIMING],
        "waiting": [
            waiting(each, position, starts.get(each.id), line.held.get(each.id))
            for position, each in enumerate(line.waiting, start=1)
        ],
    }


def job(ticket: Ticket) -> JsonObject:
    """Who has a turn: `model` is what is in flight, in one text; `models` the list of it."""
    return {
        "job_id": ticket.job_id,
        "model": ", ".join(ticket.working),
        "region": ticket.region.upper(),
        "queued_at": utc(ticket.entered_at),
        "started_at": None if ticket.started_at is None else utc(ticket.started_at),
        "run_id": ticket.run_id,
        "user": ticket.user,
        "priority": ticket.priority.value,
        "models": list(ticket.working),
        "question": ticket.question,
        "executions": ticket.executions,
        "gpus": ticket.gpus,
    }


def waiting(ticket: Ticket, position: int, starts_at: float | None, held: str | None) -> JsonObject:
    """Who waits: at which position, and when its turn is expected (null: nobody can say).

    `held` says which limit of its user holds it back by now, while others pass it; null: none.
    """
    return {
        "position": position,
        "job_id": ticket.job_id,
        "run_id": ticket.run_id,
        "user": ticket.user,
        "priority": ticket.priority.value,
        "queued_at": utc(ticket.entered_at),
        "expected_at": None if starts_at is None else utc(starts_at),
        "executions": ticket.executions,
        "gpus": ticket.gpus,
        "models": list(ticket.models),
        "held": held,
    }


def warm(pool: Warm, snapshot: Snapshot) -> JsonObject:
    """Containers that stand idle: the key of their pool, how many GPUs they hold, since when."""
    return {"pool": pool.pool, "gpus": pool.gpus, "since": utc(snapshot.at - max(0.0, snapshot.now - pool.since))}
