"""A run's place in the queue: the store agreed with, the tickets taken, and given back whatever happens."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from anyio import to_thread

from beacon_cli import granting, wiring
from beacon_cli.errors import QueueError, StoreError
from beacon_cli.plan import Plan
from beacon_cli.ports import Executor, Store
from beacon_cli.queues import clocks
from beacon_cli.settings import Settings
from beacon_cli.tickets import Caps, Priority
from beacon_cli.turns.queueing import Claimant, Clocks, TicketQueue


@asynccontextmanager
async def queue(
    run_id: str,
    plan: Plan,
    executor: Executor,
    settings: Settings,
    *,
    rehearsal: bool,
    priority: Priority = Priority.NORMAL,
    wait: bool = True,
    pending: Mapping[str, int] | None = None,
) -> AsyncIterator[TicketQueue | None]:
    """The workspace's queue, with a ticket in each region; None for an executor that holds no GPU of it.

    `executor` is open and prepared. Without `wait` every turn is granted already. `pending` is how many executions
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
        claimant = Claimant(run_id=run_id, user=settings.user or user(), holder=holder(), priority=priority)
        tickets = TicketQueue(
            store,
            claimant,
            plan,
            executor=executor,
            containers=containers,
            caps=caps,
            clocks=Clocks(wall=time.time, ticking=clocks.ticking),
        )
        try:
            await tickets.knock(wait=wait, pending=pending)
            yield tickets
        finally:
            with suppress(StoreError):
                await tickets.withdraw()
    finally:
        store.close()


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
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return f"uid {os.getuid()}"


def holder() -> str:
    """A name for this process that no other ever has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"
