"""A run's place in the queue: the store agreed with, the tickets taken, and given back whatever happens."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial

from anyio import to_thread

from beacon_cli import granting, wiring
from beacon_cli.errors import QueueError, StoreError, UsageError
from beacon_cli.leftovers import Leftovers
from beacon_cli.model import Spec
from beacon_cli.names import printable
from beacon_cli.operations.orders import Terms
from beacon_cli.plan import Plan
from beacon_cli.ports import Executor, Store
from beacon_cli.queues import clocks
from beacon_cli.runs import Runs
from beacon_cli.settings import Settings
from beacon_cli.tickets import Caps
from beacon_cli.turns.queueing import Claimant, Clocks, TicketQueue
from beacon_cli.turns.windows import Windows

_LONGEST_NAME = 64


@asynccontextmanager
async def queue(
    run_id: str,
    plan: Plan,
    executor: Executor,
    settings: Settings,
    *,
    rehearsal: bool,
    terms: Terms,
    pending: Mapping[str, int] | None = None,
) -> AsyncIterator[TicketQueue | None]:
    """The workspace's queue, with a ticket in each region; None for an executor that holds no GPU of it.

    `executor` is open and prepared. `pending` is how many executions
    each region has left, by its id: all of the plan's unless given.

    Raises:
        QueueError: the caps are others, the run is refused, or it would have to wait and is not to.
        StoreError: the store cannot be reached, or was written by a newer beacon.
    """
    containers = executor.containers
    if containers is None:
        yield None
        return
    store = await to_thread.run_sync(lambda: wiring.store(settings, rehearsal=rehearsal))
    try:
        caps = await to_thread.run_sync(agreed, store, wiring.caps(settings))
        claimant = Claimant(
            run_id=run_id,
            user=settings.user or user(),
            holder=holder(),
            priority=terms.priority,
            prewarm=_has_several(plan.spec) if terms.prewarm is None else terms.prewarm,
            keep_warm=terms.keep_warm,
        )
        tickets = TicketQueue(
            store,
            claimant,
            plan,
            executor=executor,
            containers=containers,
            caps=caps,
            clocks=Clocks(wall=time.time, ticking=clocks.ticking),
            windows=Windows(
                containers,
                None if rehearsal else Leftovers(settings.home),
                run_id=run_id,
                is_over=partial(is_over, Runs(settings.home), run_id),
                clock=time.time,
            ),
        )
        try:
            await tickets.knock(wait=terms.wait, pending=pending)
            yield tickets
        finally:
            with suppress(StoreError):
                await tickets.withdraw()
    finally:
        store.close()


def is_over(runs: Runs, ours: str, run_id: str) -> bool:
    """Whether no process carries out a run, as far as this machine knows; ours has not begun to change anything.

    What a command changed that was no run (it names none) stays as it is.
    """
    try:
        return bool(run_id) and (run_id == ours or not runs.find(run_id).is_written)
    except UsageError:  # there is no such run any more
        return True


def _has_several(spec: Spec) -> bool:
    """Whether each model is asked more than once in a region."""
    return len(spec.questions) * max(1, len(spec.contexts)) * spec.repeats > 1


def agreed(store: Store, ours: Caps) -> Caps:
    """The caps of the workspace, which are ours.

    Raises:
        QueueError: they are not; the message shows the difference.
    """
    kept = store.agree(ours)
    if found := granting.differences(kept, ours):
        shown = ", ".join(f"{name} is {there} there and {here} here" for name, (there, here) in found.items())
        raise QueueError(
            f"the queue has other caps than this configuration: {shown}. Set them alike in beacon.toml,"
            " or change the queue's: beacon queue caps --set"
        )
    return kept


def user() -> str:
    """Who runs this process, by a name that any store and any terminal takes."""
    try:
        return printable(getpass.getuser(), most=_LONGEST_NAME)
    except (OSError, KeyError):  # a container whose user has no name
        return f"uid {os.getuid()}"


def holder() -> str:
    """A name for this process that no other ever has."""
    return f"{printable(socket.gethostname())}:{os.getpid()}:{secrets.token_hex(8)}"
