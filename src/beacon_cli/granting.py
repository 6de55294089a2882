"""Who may have a turn now: the rules of the queue, pure. Every store follows them; reads no clock.

`queues/lua/granting.lua` says them again for Redis, with those of `queues/usage.py`: whoever changes one changes
the other, and tests/contracts holds them equal.

A region serves its waiting tickets strictly in order of rank. A turn needs a free place among the region's jobs,
GPUs in the region and GPUs of the workspace. Who waits for GPUs of the workspace is not overtaken by later tickets
of other regions that need them too, so nobody starves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from beacon_cli.tickets import (
    POISON,
    STEPS,
    Caps,
    Order,
    Priority,
    Request,
    Ticket,
    TicketState,
    Waiting,
    Warm,
    Why,
)

QUIET = 1.1
"""So many times `lease_seconds` a store that was emptied serves nobody: the holders' clocks may be slower."""


CANCELLED = 7 * 86_400.0
"""Seconds for which a cancelled ticket that waited is there for its holder, who may be asleep, to be told."""


def quiet_left(caps: Caps, emptied: float | None, now: float) -> float:
    """For how many seconds more a store that was found without its data at this time serves nobody."""
    return (
        0.0 if emptied is None else max(0.0, emptied + QUIET * caps.lease_seconds + caps.quarantine_seconds - now)
    )


def quiet(left: float) -> str:
    """Why nobody is served for so many seconds more; empty if somebody may be."""
    if not left:
        return ""
    return (
        f"the queue is new or lost its data: turns from {math.ceil(left)} s on, or, if nothing lives:"
        " beacon queue begin"
    )


def rank(caps: Caps, priority: Priority, entered: float) -> float:
    """A ticket's place in its region's order: the time of entry on the store's clock, later for lower priority.

    The place never changes, so the ageing is in it: a low ticket stands before every high one that came
    `2 * caps.ageing` seconds after it.
    """
    return entered + STEPS[priority] * caps.ageing


def place(ticket: Ticket) -> tuple[float, int]:
    """What the waiting tickets of a region are sorted by."""
    return ticket.rank, ticket.id


def waits(ticket: Ticket) -> bool:
    """Whether a ticket waits for its turn; one that was cancelled does not."""
    return ticket.state is TicketState.WAITING and not ticket.cancelled_by


class Scene:
    """What a decision looks at: who has a turn, what is warm, who waits in each region, in order.

    `waiting(region)` gives the tickets that wait there in their order, `position(ticket)` a ticket's place among
    them from 1; `held(ticket)` says which of its user's limits holds a ticket back, empty if none.
    """

    def __init__(
        self,
        *,
        caps: Caps,
        now: float,
        active: Sequence[Ticket],
        warm: Sequence[Warm],
        paused: frozenset[str],
        waiting: Callable[[str], Iterable[Ticket]],
        position: Callable[[Ticket], int],
        held: Callable[[Ticket], str],
    ) -> None:
        self._caps = caps
        self._now = now
        self._active = active
        self._warm = warm
        self._paused = paused
        self._waiting = waiting
        self._position = position
        self._held = held

    def judge(self, ticket: Ticket, regions: Iterable[str], quiet: str = "") -> Waiting | tuple[int, ...]:
        """Whether the ticket may have its turn now.

        `regions` are all in which somebody waits; `quiet` says why nobody is served at all, see the function.

        Returns:
            What it waits for; or, if it may, the ids of the tickets that it passes over: they stand before it and
            are held back by their users' limits.
        """
        if quiet:
            return self._wait(ticket, Why.NEW_STORE, quiet)
        if ticket.region in self._paused:
            return self._wait(ticket, Why.PAUSED, f"region {ticket.region} is paused")
        if reason := self._held(ticket):
            return self._wait(ticket, Why.USER, reason)
        if ticket.id not in {each.id for each in self._next(ticket.region)[:1]}:
            return self._wait(ticket, Why.TURN, "other jobs come first")
        return self._lack_here(ticket) or self._lack_over_all(ticket, regions) or tuple(self._passed(ticket))

    def _next(self, region: str) -> Sequence[Ticket]:
        """Those whose turn it would be now, as far as the region's jobs at once allow."""
        places = self._caps.jobs_at_once - sum(each.region == region for each in self._active)
        if places <= 0 or region in self._paused:
            return ()
        return list(islice((each for each in self._waiting(region) if not self._held(each)), places))

    def _passed(self, ticket: Ticket) -> Iterable[int]:
        for each in self._waiting(ticket.region):
            if each.id == ticket.id:
                return
            if self._held(each):
                yield each.id

    def _lack_here(self, ticket: Ticket) -> Waiting | None:
        room = self._caps.gpus_per_region - ticket.gpus - self._reserved(ticket.region)
        if room < 0:
            return self._wait(ticket, Why.GPUS, f"the GPUs of region {ticket.region} are in use")
        idle = [each for each in self._idle((ticket,)) if each.region == ticket.region]
        if cool := _surplus(idle, room):
            return self._wait(ticket, Why.GPUS, "idle containers of other models are still there", cool)
        return None

    def _lack_over_all(self, ticket: Ticket, regions: Iterable[str]) -> Waiting | None:
        before = [each for region in regions for each in self._before(ticket, region)]
        room = self._caps.gpus_total - ticket.gpus - _gpus(self._active) - _gpus(before)
        if room < 0:
            return self._wait(ticket, Why.TOTAL, "the GPUs of the workspace are in use")
        if cool := _surplus(self._idle((ticket, *before)), room):
            return self._wait(ticket, Why.TOTAL, "idle containers in other regions are still there", cool)
        return None

    def _reserved(self, region: str) -> int:
        return _gpus(each for each in self._active if each.region == region)

    def _before(self, ticket: Ticket, region: str) -> list[Ticket]:
        """The tickets of a region that come before this one and lack no GPU in their own region."""
        room = self._caps.gpus_per_region - self._reserved(region)
        before: list[Ticket] = []
        for each in self._next(region):
            if place(each) > place(ticket) or _gpus(before) + each.gpus > room:
                break
            if each.id != ticket.id:
                before.append(each)
        return before

    def _idle(self, tickets: Sequence[Ticket]) -> list[Warm]:
        """What is warm and would not be taken over by any of these tickets."""
        return [warm for warm in self._warm if not any(takes_over(each, warm) for each in tickets)]

    def _wait(self, ticket: Ticket, why: Why, reason: str, cool: tuple[Warm, ...] = ()) -> Waiting:
        anywhere = why in {Why.TOTAL, Why.USER}  # a dead lease of another region may be what it waits for
        dead = tuple(
            each.id
            for each in self._active
            if each.expires < self._now and (anywhere or each.region == ticket.region)
        )
        return Waiting(position=self._position(ticket), why=why, reason=reason, cool=cool, dead=dead)


def takes_over(ticket: Ticket, warm: Warm) -> bool:
    """Whether the ticket's turn takes these containers over: they are of a pool that it reserves for."""
    return warm.region == ticket.region and warm.gpus <= ticket.pools.get(warm.pool, 0)


def _gpus(tickets: Iterable[Ticket]) -> int:
    return sum(each.gpus for each in tickets)


def _surplus(warm: Sequence[Warm], room: int) -> tuple[Warm, ...]:
    """The longest idle of these that have to go so that the others fit into `room` GPUs."""
    excess = sum(each.gpus for each in warm) - room
    gone: list[Warm] = []
    for each in sorted(warm, key=lambda idle: (idle.since, idle.region, idle.pool)):
        if excess <= 0:
            break
        gone.append(each)
        excess -= each.gpus
    return tuple(gone)


def refusal(caps: Caps, request: Request, lost: int) -> str:
    """Why a request could never be granted, or not again after `lost` holders of its run; empty if it could be."""
    region, most, hourly = request.region, min(caps.gpus_per_region, caps.gpus_total), caps.executions_per_hour
    if lost >= POISON:
        return (
            f"run {request.run_id} is set aside in region {region}: {lost} processes in a row died there with"
            f" nothing done. Find out why, then: beacon queue release {request.run_id}"
        )
    if request.gpus > most:
        return f"region {region} has {most} GPUs, and the job needs {request.gpus} at once"
    if hourly is not None and request.executions > hourly:
        return f"{request.executions} executions in region {region}, and a user may ask {hourly} in an hour"
    return ""


def excess(ticket: Ticket, pools: Mapping[str, int]) -> str:
    """Why a lease may not hold these pools; empty if it may."""
    if (wanted := sum(pools.values())) <= ticket.gpus:
        return ""
    return f"the turn in region {ticket.region} has {ticket.gpus} GPUs, and its pools would hold {wanted}"


def ticket(request: Request, caps: Caps, *, number: int, entered: float, now: float, at: float) -> Ticket:
    """The ticket that a request gets: `entered` and `now` on the store's clock, `at` for people."""
    return Ticket(
        id=number,
        run_id=request.run_id,
        job_id=request.job_id,
        region=request.region,
        user=request.user,
        holder=request.holder,
        priority=request.priority,
        state=TicketState.WAITING,
        gpus=request.gpus,
        pools=request.pools,
        executions=request.executions,
        models=request.models,
        rank=rank(caps, request.priority, entered),
        expires=now + caps.lease_seconds,
        entered_at=at,
    )


def is_cancelled(ticket: Ticket) -> bool:
    """Whether a ticket waited until it was cancelled: it is there for its holder to be told, and nothing else."""
    return ticket.state is TicketState.WAITING and bool(ticket.cancelled_by)


def order(ticket: Ticket) -> Order:
    """What a renewal says of a ticket."""
    return Order(
        ticket=ticket.id,
        region=ticket.region,
        state=ticket.state,
        token=ticket.token,
        cancelled_by=ticket.cancelled_by,
    )


def told(ticket: Ticket) -> dict[str, Any]:
    """What the log says of a ticket, whatever happened to it."""
    return {
        "region": ticket.region,
        "ticket": ticket.id,
        "run_id": ticket.run_id,
        "rank": ticket.rank,
        "gpus": ticket.gpus,
        "pools": ticket.pools,
        "token": ticket.token,
    }


def differences(kept: Caps, ours: Caps) -> Mapping[str, tuple[object, object]]:
    """What two processes hold to be the workspace's caps, where they differ: in the store, and here."""
    return {
        name: (getattr(kept, name), getattr(ours, name))
        for name in Caps.__struct_fields__
        if getattr(kept, name) != getattr(ours, name)
    }
