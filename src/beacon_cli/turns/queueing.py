"""The engine's queue over a store: a ticket for each region, the wait for its turn, the turn, and giving it back.

What a run does under its turns is told to the store as the run's events come: see `telling`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import NamedTuple

import anyio
import msgspec
from anyio import to_thread
from anyio.abc import TaskGroup

from beacon_cli import events as ev
from beacon_cli.counts import RegionState, State
from beacon_cli.errors import QueueError, StoreError
from beacon_cli.model import Model, Region
from beacon_cli.plan import Plan
from beacon_cli.ports import Containers, Emit, Executor, Over, Store, Turn
from beacon_cli.queues.open import OpenTurn
from beacon_cli.results import Standings
from beacon_cli.tickets import (
    Caps,
    Entered,
    FailedExecution,
    Granted,
    HowEnded,
    Part,
    Priority,
    Refused,
    Request,
    Ticket,
    TicketState,
    Waiting,
)
from beacon_cli.turns import telling
from beacon_cli.turns.holding import LOST, HeldTurn, Means
from beacon_cli.turns.mending import Mender
from beacon_cli.turns.renewal import Renewal
from beacon_cli.turns.waiting import Wait
from beacon_cli.turns.warming import Warmer
from beacon_cli.turns.windows import Windows

_HEED = 0.2
"""Seconds between two looks at what the renewals said."""
_BETWEEN_TRIES = 1.0
"""Seconds between two tries to end the calls of a turn whose work is done."""
_LEAVING = 8.0
"""Seconds for which the provider is asked what a turn leaves warm."""


class Claimant(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for turns: the run, whose it is, how urgent, and the name of this process; and what to do in them.

    With `prewarm` models are warm before they are asked, with `keep_warm` a container of each lives until the end.
    """

    run_id: str
    user: str
    holder: str
    priority: Priority = Priority.NORMAL
    prewarm: bool = False
    keep_warm: bool = False


class Clocks(NamedTuple):
    """`wall` gives seconds since the epoch, `ticking` seconds that run on while the process is stopped."""

    wall: Callable[[], float]
    ticking: Callable[[], float]


class TicketQueue:
    """See `ports.Queue`. Turns are taken while it is `open`, and it is told of all of the run's events (`handle`).

    `executor` is prepared, and its containers hold GPUs of the workspace, whose `caps` the store keeps.
    """

    def __init__(
        self,
        store: Store,
        claimant: Claimant,
        plan: Plan,
        *,
        executor: Executor,
        containers: Containers,
        caps: Caps,
        clocks: Clocks,
        windows: Windows,
    ) -> None:
        self._store = store
        self._claimant = claimant
        self._plan = plan
        self._executor = executor
        self._containers = containers
        self._caps = caps
        self._clock = clocks.wall
        self._renewal = Renewal(store, claimant.holder, caps.lease_seconds, clocks.ticking)
        self._windows = windows
        self._mender = Mender(store, claimant.holder, executor=executor, containers=containers, windows=windows)
        self._held: dict[str, HeldTurn] = {}
        self._holds = anyio.Event()
        self._warmer: Warmer | None = None
        self._keeper = windows if claimant.keep_warm else None
        self._standings: Standings
        self._emit: Emit
        self._group: TaskGroup

    @asynccontextmanager
    async def open(self, emit: Emit, standings: Standings) -> AsyncIterator[None]:
        """Renew what this run has in the queue, for the body.

        `emit` is told of the waiting, `standings` are the run's as they grow.
        """
        self._emit, self._standings = emit, standings
        if self._claimant.prewarm:
            self._warmer = Warmer(
                self._containers,
                self._executor,
                emit=emit,
                clock=self._clock,
                limit=self._plan.spec.limits.timeout,
            )
        self._renewal.start()
        left = await self._windows.left()
        try:
            async with anyio.create_task_group() as self._group:
                group = self._group
                group.start_soon(self._heed)
                group.start_soon(self._mender.attend)
                group.start_soon(self._windows.mend, left)
                yield
                group.cancel_scope.cancel()
        finally:
            self._renewal.end()
            await self._windows.put_all_back()

    @property
    def changed(self) -> int:
        """See `Windows.changed`."""
        return self._windows.changed

    def turn(
        self, region: Region, models: Sequence[Model], executions: int
    ) -> AbstractAsyncContextManager[Turn | Over]:
        """See `ports.Queue.turn`."""
        return self._turn(region, models, executions)

    async def handle(self, event: ev.Event, standings: Standings) -> None:
        """See `ports.Listener.handle`: what happened in a region whose turn is held here is told to the store."""
        if isinstance(event, ev.RunResumed):
            self._group.start_soon(self._end_wakings, standings)
        await telling.tell(event, standings, self._held, self._claimant.run_id)

    async def _end_wakings(self, standings: Standings) -> None:
        """End the calls with which an earlier process was waking containers: nobody waits for them any more."""
        for call in [call for call, execution in standings.open_calls.items() if not execution]:
            if await self._executor.cancel(call):
                await self._emit(ev.OrphanEnded(at=self._clock(), call_id=call))

    async def knock(self, *, wait: bool, pending: Mapping[str, int] | None = None) -> None:
        """Take a ticket in every region with executions `pending` (all, unless given), before anything is kept.

        In another region the run would stand in everybody's way until its end. What an earlier process of it left
        there is reclaimed by whoever comes next.

        Raises:
            QueueError: the run is refused in a region; or it would have to wait in one, and is not to `wait`. It
                has no ticket then.
            StoreError: the store failed.
        """
        left = self._plan.planned if pending is None else pending
        for region in self._plan.regions:
            if not left[region.id]:
                continue
            models = self._plan.groups(region)[0].models
            request = self._request(region, models, left[region.id])
            entrance = await to_thread.run_sync(self._store.enter, request)
            reason = entrance.reason if isinstance(entrance, Refused) else ""
            if not wait and not reason:
                reason = await self._why_waiting(entrance)
            if reason:
                await self.withdraw()
                raise QueueError(f"region {region.id}: {reason}")

    async def withdraw(self) -> None:
        """Give every ticket back that has not been asked for work.

        A lease under which calls may run is not given back, but left to whoever reclaims it, or takes it up again:
        its calls could not be ended, or it was another process's and the run did not go on. Nobody died of it.

        Raises:
            StoreError: the store failed.
        """
        nothing = Part(how=HowEnded.CANCELLED, succeeded=0, failed=0, seconds=0.0)
        with anyio.CancelScope(shield=True):
            orders = await to_thread.run_sync(self._store.renew, self._claimant.holder)
            leases = await self._leases() if any(order.token for order in orders) else {}
            for order in orders:
                lease, warm = leases.get(order.ticket), dict[str, int]()
                if order.state is TicketState.RECLAIMING:
                    continue
                if lease is not None and lease.calls:
                    await to_thread.run_sync(self._store.abandon, order.ticket, order.token)
                    continue
                if lease is not None:
                    warm = await self._left_warm(lease.pools)
                await to_thread.run_sync(self._store.leave, order.ticket, order.token, nothing, warm)

    async def _leases(self) -> dict[int, Ticket]:
        now = await to_thread.run_sync(self._store.snapshot)
        return {each.id: each for line in now.regions.values() for each in line.active}

    async def _why_waiting(self, entrance: Entered | object) -> str:
        """What the run would have to wait for; empty if it has its turn."""
        if not isinstance(entrance, Entered):
            return str(getattr(entrance, "reason", ""))
        answer = await to_thread.run_sync(self._store.claim, entrance.ticket, self._claimant.holder)
        if isinstance(answer, Granted):
            return ""
        return f"{answer.reason}, number {answer.position} in the queue" if isinstance(answer, Waiting) else "gone"

    def _request(self, region: Region, models: Sequence[Model], executions: int) -> Request:
        return Request(
            run_id=self._claimant.run_id,
            job_id=self._plan.spec.id,
            region=region.id,
            user=self._claimant.user,
            holder=self._claimant.holder,
            pools=self._reserved(region, models),
            executions=executions,
            models=tuple(model.id for model in self._plan.models(region)),
            priority=self._claimant.priority,
        )

    def _reserved(self, region: Region, models: Sequence[Model]) -> dict[str, int]:
        """What a turn asks for that begins with these models: enough for each group of models to come."""
        pools = self._shares(region, models)
        most = max(sum(self._shares(region, group.models).values()) for group in self._plan.groups(region))
        lack = most - sum(pools.values())
        return {pool: gpus + max(lack, 0) * (place == 0) for place, (pool, gpus) in enumerate(pools.items())}

    def _shares(self, region: Region, models: Sequence[Model]) -> dict[str, int]:
        """The GPUs that each pool of these models may hold while they work."""
        spec = self._plan.spec
        inputs: Counter[str] = Counter()
        for model in models:
            inputs[self._containers.pool(region, model)] += spec.in_flight
        most = min(spec.limits.per_region, spec.limits.concurrency)
        return {pool: min(most, self._containers.width(pool, count)) for pool, count in inputs.items()}

    @asynccontextmanager
    async def _turn(self, region: Region, models: Sequence[Model], executions: int) -> AsyncIterator[Turn | Over]:
        if not executions:
            yield OpenTurn()
            return
        request = self._request(region, models, executions)
        wait = Wait(self._store, request, caps=self._caps, mender=self._mender, emit=self._emit, clock=self._clock)
        granted = await wait.over()
        if isinstance(granted, Over):
            yield granted
            return
        began = self._renewal.now()
        held = self._hold(granted, await wait.reserved(granted.ticket), region, since=began)
        try:
            yield held
        finally:
            with anyio.CancelScope(shield=True):
                del self._held[region.id]
                if held.why is None or held.why.final:  # else it is another's, or is taken up again
                    await self._leave(held, self._renewal.now() - began)

    def _hold(
        self, granted: Entered, pools: Mapping[str, int] | None, region: Region, *, since: float
    ) -> HeldTurn:
        held = self._held[region.id] = HeldTurn(
            granted=granted,
            since=since,
            region=region,
            pools=pools or {},
            shares=partial(self._shares, region),
            means=Means(self._store, self._mender, self._renewal, self._warmer, self._keeper),
        )
        self._holds.set()
        if pools is None:
            held.end(Over(LOST, final=False))
        return held

    async def _leave(self, held: HeldTurn, seconds: float) -> None:
        """Give a turn back. A store that cannot be reached will see that it is not renewed.

        With a call that is not known to have ended, the GPUs are not free: the turn is kept until it has.
        """
        if held.open and not await self._mender.ended(held.open):
            self._group.start_soon(self._leave_later, held, seconds)
            return
        await held.unkeep(held.pools)
        warm = await self._left_warm(held.pools)
        with suppress(StoreError):
            part = await to_thread.run_sync(self._part, held, seconds)
            await to_thread.run_sync(self._store.leave, held.ticket, held.token, part, warm)

    async def _leave_later(self, held: HeldTurn, seconds: float) -> None:
        """Give a turn back once its calls have ended; if the run ends before, whoever comes next sees to them."""
        await anyio.sleep(_BETWEEN_TRIES)
        with anyio.CancelScope(shield=True):
            await self._leave(held, seconds)

    async def _left_warm(self, pools: Mapping[str, int]) -> dict[str, int]:
        """Those of these pools that may have containers, as far as the provider says so in time."""
        with anyio.move_on_after(_LEAVING):
            return await self._mender.warm(pools)
        return dict(pools)

    def _part(self, held: HeldTurn, seconds: float) -> Part:
        region = self._standings.regions[held.region.id]
        how = HowEnded.FAILED
        if region.succeeded == region.planned:
            how = HowEnded.COMPLETED
        elif region.succeeded + region.failed < region.planned and region.state is not RegionState.GIVEN_UP:
            how = HowEnded.CANCELLED
        return Part(
            how=how,
            succeeded=held.succeeded,
            failed=held.failed,
            seconds=seconds,
            failures=(*self._earlier(held), *held.failures.values()),
        )

    def _earlier(self, held: HeldTurn) -> list[FailedExecution]:
        """Those that failed for good under an earlier turn of this run, and have not been asked again."""
        return [
            each
            for each in self._store.failures(self._claimant.run_id, held.region.id)
            if each.execution not in held.failures
            and (progress := self._standings.executions.get(each.execution)) is not None
            and progress.state is State.FAILED
        ]

    async def _heed(self) -> None:
        """See to it that a turn which is over ends, whatever its work is at."""
        while True:
            if not self._held:
                self._holds = anyio.Event()
                await self._holds.wait()
            await anyio.sleep(_HEED)
            for held in list(self._held.values()):
                await held.check()
                await held.tell()
