"""A queue in tables that one process at a time may change: the operations of `ports.Store`, over `tables.Tables`.

Must not know where the tables are kept; `memory` and `sqlite` are two places. `lua/store.lua` says the same for
Redis: whoever changes one changes the other, and tests/contracts holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from beacon_cli import granting
from beacon_cli.errors import QueueError
from beacon_cli.queues import logbook, sight, usage
from beacon_cli.queues.tables import KEPT_FAILURES, Tables, forget_failures
from beacon_cli.tickets import (
    Answer,
    Caps,
    Entered,
    Entrance,
    FailedExecution,
    Granted,
    LogEntry,
    LogKind,
    NotYet,
    Order,
    Part,
    Refused,
    Request,
    Snapshot,
    Ticket,
    TicketState,
    Unknown,
    Waiting,
    Warm,
)


class TabledStore:
    """See `ports.Store`. `clock` is the store's own, `wall` gives the times for people; both in seconds.

    `log_kept` is how many entries of the log are there at least, see `logbook`.
    """

    def __init__(
        self,
        tables: Tables,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        log_kept: int = logbook.KEPT,
    ) -> None:
        self._tables = tables
        self._log = logbook.Logbook(tables, wall, log_kept)
        self._clock = clock
        self._wall = wall

    @property
    def poll_seconds(self) -> float:
        """See `ports.Store.poll_seconds`: a turn is to be taken within 100 ms."""
        return 0.07

    def close(self) -> None:
        """See `ports.Store.close`."""
        self._tables.close()

    def begin(self) -> bool:
        """See `ports.Store.begin`."""
        with self._tables.transaction():
            was_waiting = self._tables.emptied() is not None
            self._tables.begin()
            return was_waiting

    def agree(self, caps: Caps) -> Caps:
        """See `ports.Store.agree`."""
        with self._tables.transaction():
            kept = self._tables.caps()
            if kept is None:
                self._set_caps(caps)
            return kept or caps

    def set_caps(self, caps: Caps) -> None:
        """See `ports.Store.set_caps`."""
        with self._tables.transaction():
            self._sweep()
            for each in filter(granting.is_cancelled, self._tables.tickets()):
                self._remove(each, LogKind.LEFT, {}, detail="cancelled")
            count = len(self._tables.tickets())
            if not count:
                self._set_caps(caps)
        if count:  # after the transaction: who was swept away stays away
            raise QueueError(f"{count} tickets are in the queue: change its caps when it is empty")

    def enter(self, request: Request) -> Entrance:
        """See `ports.Store.enter`."""
        with self._tables.transaction(durable=False):
            caps = self._caps()
            self._sweep()
            mine = next(iter(self._tables.tickets(run_id=request.run_id, region=request.region)), None)
            if mine is not None and mine.holder == request.holder and mine.state is not TicketState.RECLAIMING:
                return Entered(mine.id, mine.token)
            if mine is not None and granting.is_cancelled(mine):
                self._remove(mine, LogKind.LEFT, {}, detail="cancelled")
                mine = None
            self._found_alive(request)
            if mine is not None and mine.cancelled_by and mine.worker == request.holder:
                return Refused(f"cancelled by {mine.cancelled_by}")  # it slept through that, and is no resumed run
            if mine is not None and mine.state is TicketState.HOLDING:
                if request.executions < mine.executions:
                    self._tables.set_lost(mine.run_id, mine.region, ())
                self._lose(mine)
            lost = self._lost(request.run_id, request.region)
            if reason := granting.refusal(caps, request, len(lost)):
                if mine is not None:
                    self._let_die(mine, reason)
                return Refused(reason)
            if mine is not None:
                return self._inherit(mine, request)
            users = () if caps.jobs_waiting is None else self._tables.tickets(user=request.user)
            if reason := usage.waiting(caps, request, users):
                return NotYet(reason)
            return self._new(caps, request)

    def claim(self, ticket: int, holder: str) -> Answer:
        """See `ports.Store.claim`."""
        with self._tables.transaction():
            self._sweep()
            mine = self._tables.ticket(ticket)
            if mine is None or mine.holder != holder:
                return Unknown()
            if mine.state is TicketState.HOLDING:
                return Granted(mine.token)
            if mine.state is TicketState.RECLAIMING:
                return Unknown(mine.cancelled_by)
            if mine.cancelled_by:
                self._remove(mine, LogKind.LEFT, {}, detail="cancelled")
                return Unknown(mine.cancelled_by)
            verdict = sight.judge(self._tables, mine, self._clock())
            if isinstance(verdict, Waiting):
                return verdict
            return self._grant(mine, verdict)

    def renew(self, holder: str) -> tuple[Order, ...]:
        """See `ports.Store.renew`."""
        with self._tables.transaction(durable=False):
            self._sweep()
            expires = self._clock() + self._caps().lease_seconds
            mine = self._tables.tickets(holder=holder)
            for each in mine:
                self._put(each, expires=max(expires, each.expires) if granting.is_cancelled(each) else expires)
            return tuple(granting.order(each) for each in mine)

    def hold(self, ticket: int, token: int, pools: Mapping[str, int]) -> bool:
        """See `ports.Store.hold`."""
        with self._tables.transaction():
            mine = self._lease(ticket, token)
            if mine is None:
                return False
            if reason := granting.excess(mine, pools):
                raise QueueError(reason)
            self._log.tell_of(LogKind.POOLS, self._put(mine, pools=dict(pools)))
            return True

    def note(
        self,
        ticket: int,
        token: int,
        *,
        placed: Collection[str] = (),
        ended: Collection[str] = (),
        question: str | None = None,
        working: Collection[str] | None = None,
        progressed: bool = False,
    ) -> bool:
        """See `ports.Store.note`."""
        with self._tables.transaction(durable=False):
            mine = self._lease(ticket, token)
            if mine is None:
                return False
            over = frozenset(ended)
            self._put(
                mine,
                calls=tuple(dict.fromkeys(each for each in (*mine.calls, *placed) if each not in over)),
                question=mine.question if question is None else question,
                working=mine.working if working is None else tuple(working),
            )
            if progressed:
                self._tables.set_lost(mine.run_id, mine.region, ())
            return True

    def leave(self, ticket: int, token: int, part: Part, warm: Mapping[str, int]) -> bool:
        """See `ports.Store.leave`."""
        with self._tables.transaction(durable=False):  # lost, it is a dead lease: nothing is free
            mine = self._tables.ticket(ticket)
            if mine is None or mine.token != token or mine.state is TicketState.RECLAIMING:
                return False
            self._remove(mine, LogKind.LEFT, warm, detail=part.how)
            if mine.is_active:
                self._count(mine, part)
            return True

    def abandon(self, ticket: int, token: int) -> bool:
        """See `ports.Store.abandon`."""
        with self._tables.transaction(durable=False):
            mine = self._lease(ticket, token)
            if mine is None:
                return False
            self._let_die(self._put(mine, worker=""), "")
            return True

    def cancel(self, run_id: str, region: str | None, by: str) -> tuple[str, ...]:
        """See `ports.Store.cancel`."""
        with self._tables.transaction():
            found = [each for each in self._tables.tickets(run_id=run_id) if region in {None, each.region}]
            until = self._clock() + granting.CANCELLED
            for each in found:
                expires = each.expires if each.is_active else until
                cancelled = self._put(each, cancelled_by=by, expires=expires)
                self._log.tell_of(LogKind.CANCELLED, cancelled, detail=by)
            return tuple(sorted(each.region for each in found))

    def pause(self, region: str, *, paused: bool) -> None:
        """See `ports.Store.pause`."""
        with self._tables.transaction():
            tally = self._tables.tally(region)
            self._tables.put_tally(region, msgspec.structs.replace(tally, paused=paused))
            self._log.tell(LogKind.PAUSED if paused else LogKind.UNPAUSED, region=region)

    def reclaim(self, ticket: int, holder: str) -> Ticket | None:
        """See `ports.Store.reclaim`."""
        with self._tables.transaction():
            dead, now = self._tables.ticket(ticket), self._clock()
            if dead is None or not dead.is_active:
                return None
            is_mine = dead.state is TicketState.RECLAIMING and dead.holder == holder
            if dead.expires >= now and not is_mine:
                return None
            expires = now + self._caps().lease_seconds
            dead = self._put(dead, state=TicketState.RECLAIMING, holder=holder, expires=expires)
            self._log.tell_of(LogKind.RECLAIMING, dead)
            return dead

    def reclaimed(self, ticket: int, holder: str, warm: Mapping[str, int]) -> bool:
        """See `ports.Store.reclaimed`."""
        with self._tables.transaction():
            dead = self._tables.ticket(ticket)
            if dead is None or dead.state is not TicketState.RECLAIMING or dead.holder != holder:
                return False
            self._lose(dead)
            self._remove(dead, LogKind.RECLAIMED, warm)
            return True

    def gone(self, idle: Warm) -> None:
        """See `ports.Store.gone`."""
        with self._tables.transaction():
            if idle in self._tables.warm():
                self._tables.remove_warm(idle.region, idle.pool)
                self._log.tell(LogKind.WARM_GONE, region=idle.region, warm={idle.pool: idle.gpus})

    def release(self, run_id: str) -> bool:
        """See `ports.Store.release`."""
        with self._tables.transaction():
            regions = [region for run, region in self._tables.lost() if run == run_id]
            for region in regions:
                self._tables.set_lost(run_id, region, ())
            if regions:
                self._log.tell(LogKind.RELEASED, run_id=run_id)
            return bool(regions)

    def failures(self, run_id: str = "", region: str = "") -> tuple[FailedExecution, ...]:
        """See `ports.Store.failures`."""
        with self._tables.transaction(writes=False):
            return tuple(self._tables.failures(run_id, region))

    def set_aside(self) -> dict[str, tuple[str, ...]]:
        """See `ports.Store.set_aside`."""
        with self._tables.transaction(writes=False):
            return sight.set_aside(self._tables)

    def snapshot(self, most: int | None = None) -> Snapshot:
        """See `ports.Store.snapshot`."""
        with self._tables.transaction(writes=False):
            return sight.snapshot(self._tables, now=self._clock(), at=self._wall(), most=most)

    def log(self, since: int = 0) -> Iterable[LogEntry]:
        """See `ports.Store.log`."""
        with self._tables.transaction(writes=False):
            return self._tables.log(since)

    def _caps(self) -> Caps:
        return sight.caps(self._tables)

    def _set_caps(self, caps: Caps) -> None:
        self._tables.set_caps(caps)
        self._log.tell(LogKind.CAPS, caps=caps)

    def _new(self, caps: Caps, request: Request) -> Entered:
        now = self._clock()
        ticket = granting.ticket(
            request,
            caps,
            number=self._tables.number(),
            entered=self._tables.entered(now),
            now=now,
            at=self._wall(),
        )
        self._tables.put(ticket)
        self._log.tell_of(LogKind.ENTERED, ticket)
        return Entered(ticket.id)

    def _inherit(self, mine: Ticket, request: Request) -> Entered | NotYet:
        """Let a run that is resumed take up its own ticket, or its lease if that is large enough."""
        if mine.state is TicketState.RECLAIMING or (mine.is_active and mine.gpus < request.gpus):
            self._let_die(mine, "")
            return NotYet("what the run left behind has to end first", (mine.id,))
        token, gpus, pools = 0, request.gpus, request.pools
        if mine.is_active:
            token, gpus, pools = self._tables.number(), mine.gpus, mine.pools
        mine = self._put(
            mine,
            holder=request.holder,
            user=request.user,
            token=token,
            gpus=gpus,
            pools=pools,
            models=request.models,
            executions=request.executions,
            expires=self._clock() + self._caps().lease_seconds,
            cancelled_by="",
            worker=request.holder if token else "",
        )
        self._log.tell_of(LogKind.INHERITED, mine)
        return Entered(mine.id, token)

    def _let_die(self, mine: Ticket, reason: str) -> None:
        """Have a ticket reclaimed, or taken away, as if it had not been renewed."""
        if mine.state is not TicketState.RECLAIMING:
            self._put(mine, expires=self._clock() - self._caps().lease_seconds)
        if reason:
            self._log.tell_of(LogKind.SET_ASIDE, mine, detail=reason)

    def _grant(self, mine: Ticket, passed: tuple[int, ...]) -> Granted:
        for each in self._tables.warm():
            if granting.takes_over(mine, each):
                self._tables.remove_warm(each.region, each.pool)
        granted = self._put(
            mine,
            state=TicketState.HOLDING,
            token=self._tables.number(),
            started_at=self._wall(),
            worker=mine.holder,
        )
        self._tables.add_asked(mine.user, self._clock(), mine.executions)
        self._log.tell_of(LogKind.GRANTED, granted, passed=passed)
        return Granted(granted.token)

    def _remove(self, ticket: Ticket, kind: LogKind, warm: Mapping[str, int], *, detail: str = "") -> None:
        self._tables.remove(ticket.id)
        left = dict(warm) if ticket.is_active else {}
        region, now = ticket.region, self._clock()
        before = {each.pool: each.gpus for each in self._tables.warm() if each.region == region}
        for pool, gpus in left.items():
            self._tables.put_warm(Warm(region=region, pool=pool, gpus=gpus + before.get(pool, 0), since=now))
        self._log.tell_of(kind, ticket, warm=left, detail=detail)

    def _count(self, mine: Ticket, part: Part) -> None:
        self._tables.put_tally(mine.region, self._tables.tally(mine.region).counting(part))
        self._tables.put_failures(mine.run_id, mine.region, part.failures[-KEPT_FAILURES:])
        if part.failures:
            forget_failures(self._tables)
        self._tables.set_lost(mine.run_id, mine.region, ())

    def _lost(self, run_id: str, region: str) -> tuple[str, ...]:
        return self._tables.lost().get((run_id, region), ())

    def _lose(self, ticket: Ticket) -> None:
        lost = self._lost(ticket.run_id, ticket.region)
        if ticket.worker and ticket.worker not in lost:
            self._tables.set_lost(ticket.run_id, ticket.region, (*lost, ticket.worker))

    def _found_alive(self, request: Request) -> None:
        lost = self._lost(request.run_id, request.region)
        if request.holder in lost:
            left = [each for each in lost if each != request.holder]
            self._tables.set_lost(request.run_id, request.region, left)

    def _sweep(self) -> None:
        for each in self._tables.overdue(self._clock()):  # what waits and was not renewed in time
            self._tables.remove(each.id)
            self._log.tell_of(LogKind.EXPIRED, each)

    def _lease(self, ticket: int, token: int) -> Ticket | None:
        mine = self._tables.ticket(ticket)
        return mine if mine and mine.state is TicketState.HOLDING and mine.token == token else None

    def _put(self, ticket: Ticket, **changes: Any) -> Ticket:
        self._tables.put(changed := msgspec.structs.replace(ticket, **changes))
        return changed
