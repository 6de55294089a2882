"""A turn in each region for something else than questions: containers are started, kept or let go, and counted.

Whoever comes next finds what was left warm in the queue, and takes it over.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import NamedTuple, TypeAlias

import anyio

from beacon_cli import __version__, conduct, signals, wiring
from beacon_cli import events as ev
from beacon_cli.display.words import count
from beacon_cli.errors import UsageError
from beacon_cli.journal import MemoryJournal
from beacon_cli.model import Model, Region, Spec
from beacon_cli.operations import taking_turns
from beacon_cli.operations.orders import Terms
from beacon_cli.plan import Plan
from beacon_cli.ports import Containers, Listener, Over, Turn
from beacon_cli.results import Standings
from beacon_cli.settings import Settings
from beacon_cli.turns.queueing import TicketQueue


class Visit(NamedTuple):
    """A turn in one region, with the models that may have containers there at once."""

    region: Region
    models: tuple[Model, ...]
    turn: Turn
    containers: Containers


Work: TypeAlias = Callable[[Visit], Awaitable[None]]
"""What is done in a turn."""


def visit(spec: Spec, settings: Settings, work: Work, *, wait: bool, watcher: Listener) -> int:
    """Take a turn in each of the spec's regions, side by side, and do the work; gives 0, or 128 and a signal.

    `watcher` is told of all that happens. Nothing is asked, and nothing is kept but what the queue knows.

    Raises:
        UsageError: more models than may have containers in a region, or an executor that has none.
        StartError: the apps cannot be reached, or are not there.
        QueueError: the queue refuses, or a turn would have to be waited for and is not to be.
        StoreError: the queue's store failed.
    """
    plan = Plan(spec)
    for region in plan.regions:
        if len(plan.models(region)) > (most := len(plan.groups(region)[0].models)):
            raise UsageError(
                f"region {region.id} may have containers of {count(most, 'model')} at once, and"
                f" {len(plan.models(region))} are named: choose with --model"
            )
    return anyio.run(partial(_visit, plan, settings, work, wait=wait, watcher=watcher))


async def _visit(plan: Plan, settings: Settings, work: Work, *, wait: bool, watcher: Listener) -> int:
    name = f"{plan.spec.id}-{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        executor = await stack.enter_async_context(wiring.executor(plan.spec, emulator=None))
        await executor.prepare(plan.cells())
        containers = executor.containers
        if containers is None:
            raise UsageError("the job's executor has no containers of yours: there is nothing to warm or to cool")
        planned = dict.fromkeys(plan.planned, 1)
        terms = Terms(wait=wait, prewarm=True)
        taken = taking_turns.queue(name, plan, executor, settings, rehearsal=False, terms=terms, pending=planned)
        queue = await stack.enter_async_context(taken)
        if queue is None:
            raise AssertionError("an executor with containers has a queue")
        standings = Standings()
        recorder = conduct.Recorder(MemoryJournal(), standings, [queue, watcher])
        await recorder.emit(_opening(name, plan, planned))
        await stack.enter_async_context(queue.open(recorder.emit, standings))
        return await _Round(plan, queue, containers, recorder, work).go()


class _Round(NamedTuple):
    plan: Plan
    queue: TicketQueue
    containers: Containers
    recorder: conduct.Recorder
    work: Work

    async def go(self) -> int:
        """Visit every region, until the work is done or a signal comes."""
        heard: list[signal.Signals] = []
        told, loop = asyncio.Event(), asyncio.get_running_loop()

        def hear(number: signal.Signals) -> None:
            if heard:
                os._exit(128 + number)  # somebody cannot wait: the lease runs out, and whoever comes next mends
            heard.append(number)
            loop.call_soon_threadsafe(told.set)

        with signals.caught(hear):
            async with anyio.create_task_group() as group:
                group.start_soon(self._stop, told, group.cancel_scope)
                async with anyio.create_task_group() as regions:
                    for region in self.plan.regions:
                        regions.start_soon(self._in_turn, region)
                group.cancel_scope.cancel()
        return 128 + heard[0] if heard else 0

    async def _stop(self, told: asyncio.Event, scope: anyio.CancelScope) -> None:
        await told.wait()
        scope.cancel()

    async def _in_turn(self, region: Region) -> None:
        models = self.plan.models(region)
        over: Over | None = None
        asked = time.time()
        async with self.queue.turn(region, models, 1) as turn:
            if isinstance(turn, Over):
                over = turn
            else:
                now = time.time()
                await self.recorder.emit(ev.RegionStarted(at=now, region=region.id, waited=now - asked))
                over = await _held(Visit(region, models, turn, self.containers), self.work)
        if over is not None:
            lost = ev.TurnLost(at=time.time(), region=region.id, reason=over.reason, final=True)
            await self.recorder.emit(lost)


async def _held(visit: Visit, work: Work) -> Over | None:
    over: Over | None = None

    async def watch(scope: anyio.CancelScope) -> None:
        nonlocal over
        over = await visit.turn.over()
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch, group.cancel_scope)
        await work(visit)
        group.cancel_scope.cancel()
    return over


def _opening(name: str, plan: Plan, planned: dict[str, int]) -> ev.RunStarted:
    return ev.RunStarted(
        at=time.time(),
        run_id=name,
        spec=plan.spec,
        planned=planned,
        fingerprint=plan.fingerprint,
        rehearsal=False,
        beacon=__version__,
    )
