"""Changing the queue from the command line: cancel a run, pause a region, release a run, set the caps."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import closing, suppress

import msgspec

from beacon_cli import moments, wiring
from beacon_cli.display import paper
from beacon_cli.errors import StoreError, UsageError
from beacon_cli.names import printable, quoted
from beacon_cli.operations import taking_turns
from beacon_cli.operations.queue_status import region_id, snapshot
from beacon_cli.runs import Runs, RunState, Summary
from beacon_cli.settings import Settings
from beacon_cli.tickets import FailedExecution, Snapshot, TicketState


def cancel(run: str, *, region: str, rehearsal: bool) -> None:
    """Have a run leave the queue, or end as by Ctrl-C where it has its turn; in one region or in all.

    Raises:
        UsageError: there is no such region, or the run is not in the queue there.
        StoreError: the store failed.
    """
    settings = wiring.settings()
    store = wiring.store_if_any(settings, rehearsal=rehearsal)
    if store is None:
        raise UsageError(_not_there(run, settings, rehearsal=rehearsal))
    with closing(store):
        now = store.snapshot()
        where = region_id(region, settings, tuple(now.regions)) if region else None
        run_id = _matched(run, _queued(now)) or printable(run)  # which any store takes
        standing = dict(_standing(now, run_id))
        regions = store.cancel(run_id, where, settings.user or taking_turns.user())
    if not regions:
        raise UsageError(_not_there(run_id, settings, rehearsal=rehearsal, region=where or ""))
    paper.say((f"run {run_id} in {each}: {standing.get(each, 'cancelled')}" for each in regions), sys.stdout)


def pause(*, region: str, paused: bool, rehearsal: bool) -> None:
    """Give no turn in a region any more, or again; without `region` in all.

    Raises:
        UsageError: there is no such region.
        StoreError: the store failed.
    """
    settings = wiring.settings()
    with closing(wiring.store(settings, rehearsal=rehearsal)) as store:
        known = store.snapshot().regions
        every = [each.id for each in settings.regions]
        chosen = [region_id(region, settings, tuple(known))] if region else list(dict.fromkeys([*every, *known]))
        for each in chosen:
            store.pause(each, paused=paused)
    said = "paused: turns that are held go on, no other is given" if paused else "goes on"
    paper.say((f"region {each} {'is ' if paused else ''}{said}" for each in chosen), sys.stdout)


def release(run: str, *, rehearsal: bool) -> None:
    """Let a run that was set aside into the queue again.

    Raises:
        UsageError: the run has lost no process.
        StoreError: the store failed.
    """
    store = wiring.store_if_any(wiring.settings(), rehearsal=rehearsal)
    if store is None:
        raise UsageError(f"run {quoted(run)} is not set aside")
    with closing(store):
        run_id = _matched(run, store.set_aside()) or printable(run)
        if not store.release(run_id):
            raise UsageError(f"run {quoted(run)} is not set aside; `beacon queue-status` names those that are")
    paper.say([f"run {run_id} may enter the queue again:  beacon resume {run_id}"], sys.stdout)


def begin(*, rehearsal: bool) -> None:
    """Have a queue that is new, or lost its data, give turns as soon as no lease of before can last.

    Raises:
        StoreError: the store failed.
    """
    with closing(wiring.store(wiring.settings(), rehearsal=rehearsal)) as store:
        was_waiting = store.begin()
    said = "gives turns as soon as no lease of before can last" if was_waiting else "was not waiting for this"
    paper.say([f"the queue {said}"], sys.stdout)


def failed(*, rehearsal: bool, as_json: bool) -> None:
    """List the executions that failed for good, with the runs to retry.

    Raises:
        StoreError: the store failed.
    """
    store = wiring.store_if_any(wiring.settings(), rehearsal=rehearsal)
    found: tuple[FailedExecution, ...] = ()
    if store is not None:
        with closing(store):
            found = store.failures()
    if as_json:
        records = [{**msgspec.to_builtins(each), "at": moments.utc(each.at)} for each in found]
        paper.put(json.dumps(records, indent=2), sys.stdout)
        return
    from beacon_cli.display import queueing

    paper.show(lambda width: queueing.failures(found, width), sys.stdout)


def caps(*, put: bool, rehearsal: bool) -> None:
    """Show the queue's caps beside the configuration's; with `put`, make them the configuration's.

    Raises:
        QueueError: somebody is in the queue, and they are to be changed.
        StoreError: the store failed.
    """
    settings = wiring.settings()
    ours = wiring.caps(settings)
    kept = None
    if put:
        with closing(wiring.store(settings, rehearsal=rehearsal)) as store:
            store.set_caps(ours)
        kept = ours
    elif (found := wiring.store_if_any(settings, rehearsal=rehearsal)) is not None:
        with closing(found):
            kept = snapshot(found, settings).caps
    from beacon_cli.display import queueing

    paper.show(lambda _: queueing.caps(kept, ours), sys.stdout)


def _queued(now: Snapshot) -> list[str]:
    every = (each.run_id for line in now.regions.values() for each in (*line.active, *line.waiting))
    return list(dict.fromkeys(every))


def _matched(name: str, runs: Iterable[str]) -> str:
    """The one of these runs with this id, or the only one whose id begins so; empty if there is none.

    Raises:
        UsageError: more than one begins so.
    """
    found = list(runs)
    if name in found:
        return name
    starting = [each for each in found if name and each.startswith(name)]
    if len(starting) > 1:
        raise UsageError(f"{len(starting)} runs in the queue begin with {quoted(name)}; say more")
    return starting[0] if starting else ""


def _standing(now: Snapshot, run_id: str) -> Iterable[tuple[str, str]]:
    """What a cancellation does to a run in each region."""
    for name, line in now.regions.items():
        for position, ticket in enumerate(line.waiting, start=1):
            if ticket.run_id == run_id:
                yield name, f"it waited at number {position}, and leaves the queue"
        for ticket in line.active:
            if ticket.run_id == run_id and ticket.state is TicketState.RECLAIMING:
                yield name, "its process is gone, and its calls are being ended; it does not come back by itself"
            elif ticket.run_id == run_id:
                yield name, "it has its turn, and stops as by Ctrl-C: its calls are being ended"


def _is_queued(run: str, settings: Settings, *, rehearsal: bool) -> bool:
    with suppress(StoreError, UsageError):  # where it cannot be looked, nothing is said of it
        store = wiring.store_if_any(settings, rehearsal=rehearsal)
        if store is not None:
            with closing(store):
                return bool(_matched(run, _queued(store.snapshot())))
    return False


def _not_there(run: str, settings: Settings, *, rehearsal: bool, region: str = "") -> str:
    """Why there is nothing to cancel, as far as this machine knows."""
    where = f" of region {region}" if region else " of rehearsals" if rehearsal else ""
    said = f"run {quoted(run)} is not in the queue{where}"
    if _is_queued(run, settings, rehearsal=not rehearsal):
        return f"{said}: it is in the other; {'leave out' if rehearsal else 'add'} --rehearsal"
    try:
        folder = Runs(settings.home).find(run)
        summary, writer = folder.summary(), folder.writer
    except UsageError:
        return f"{said}; `beacon queue-status` shows who is"
    return f"{said}{_by_its_folder(summary, writer, rehearsal=rehearsal)}"


def _by_its_folder(summary: Summary, writer: int | None, *, rehearsal: bool) -> str:
    if summary.state is RunState.FINISHED:
        return ": it is finished"
    if summary.rehearsal and not rehearsal:
        return ": it is a rehearsal, whose queue is another; add --rehearsal"
    if summary.state is RunState.RUNNING:
        from_here = "" if writer is None else f", or from here:  kill -INT {writer}"
        return f": it works without a turn, or waits for a ticket; stop it with Ctrl-C where it runs{from_here}"
    if summary.open_calls:
        return f", and no process carries it out; end its calls:  beacon reap {summary.run_id}"
    return f": it was interrupted; go on:  beacon resume {summary.run_id}"
