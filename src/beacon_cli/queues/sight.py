"""What the tables of a queue show: whether somebody may be served now, and the whole queue. Changes nothing."""

from __future__ import annotations

from itertools import islice

import msgspec

from beacon_cli import granting
from beacon_cli.queues import usage
from beacon_cli.queues.tables import Tables
from beacon_cli.tickets import POISON, Caps, RegionLine, Snapshot, Ticket, Waiting, Warm


def caps(tables: Tables) -> Caps:
    """The caps that hold."""
    return tables.caps() or Caps()


def judge(tables: Tables, ticket: Ticket, now: float) -> Waiting | tuple[int, ...]:
    """Whether a ticket may have its turn at this time of the store's clock; see `granting.Scene.judge`."""
    kept, emptied = caps(tables), tables.emptied()

    def held(each: Ticket) -> str:
        if kept.jobs_running is None and kept.executions_per_hour is None:
            return ""
        return usage.held(kept, each, tables.active(), tables.asked(each.user, now - usage.HOUR))

    scene = granting.Scene(
        caps=kept,
        now=now,
        active=tables.active(),
        warm=tables.warm(),
        paused=frozenset(each for each in tables.tallied() if tables.tally(each).paused),
        waiting=tables.waiting,
        position=tables.position,
        held=held,
    )
    quiet = granting.quiet(granting.quiet_left(kept, emptied, now))
    return scene.judge(ticket, tables.waited_in(), quiet)


def snapshot(tables: Tables, *, now: float, at: float, most: int | None) -> Snapshot:
    """The whole queue, or `most` of who waits in each region: `now` on the store's clock, `at` for people."""
    active, warm = tables.active(), tables.warm()
    names = {*tables.tallied(), *tables.waited_in()}
    names |= {each.region for each in active} | {each.region for each in warm}
    kept = caps(tables)
    waiting = {
        name: tuple(islice((each for each in tables.waiting(name) if each.expires >= now), most)) for name in names
    }
    lines = {
        name: _line(
            tables,
            name,
            active=tuple(each for each in active if each.region == name),
            waiting=waiting[name],
            held=usage.all_held(kept, waiting[name], active, lambda user: tables.asked(user, now - usage.HOUR)),
            waits=None if most is None else tables.waits(name, now),
            warm=tuple(each for each in warm if each.region == name),
        )
        for name in sorted(names)
    }
    quiet = granting.quiet_left(kept, tables.emptied(), now)
    return Snapshot(at=at, now=now, caps=kept, regions=lines, quiet=quiet)


def set_aside(tables: Tables) -> dict[str, tuple[str, ...]]:
    """The runs that are refused, each with its regions."""
    aside: dict[str, tuple[str, ...]] = {}
    for (run_id, region), holders in sorted(tables.lost().items()):
        if len(holders) >= POISON:
            aside[run_id] = (*aside.get(run_id, ()), region)
    return aside


def _line(
    tables: Tables,
    name: str,
    *,
    active: tuple[Ticket, ...],
    waiting: tuple[Ticket, ...],
    held: dict[int, str],
    waits: int | None,
    warm: tuple[Warm, ...],
) -> RegionLine:
    more = 0 if waits is None else waits - len(waiting)
    tally = msgspec.structs.asdict(tables.tally(name))
    return RegionLine(region=name, active=active, waiting=waiting, held=held, more=more, warm=warm, **tally)
