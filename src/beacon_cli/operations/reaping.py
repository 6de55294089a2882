"""Calls that nobody waits for any more: found in the journals of runs and in the queue, ended at the provider."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, closing
from functools import partial

import anyio
import msgspec

from beacon_cli import events as ev
from beacon_cli import journal, wiring
from beacon_cli.leftovers import Leftovers
from beacon_cli.model import ModalTarget, Spec
from beacon_cli.operations import bare_jobs, taking_turns
from beacon_cli.ports import Executor, Store
from beacon_cli.runs import RunFolder, Runs, RunState
from beacon_cli.settings import Settings
from beacon_cli.tickets import Ticket
from beacon_cli.turns.mending import Mender
from beacon_cli.turns.windows import Windows


class DeadTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn in the queue whose process is gone. `freed`: what it left has ended; None: nobody was asked."""

    region: str
    calls: tuple[str, ...]
    freed: bool | None = None


class Orphans(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may have left behind: calls by id, and attempts of which only the intent is on disk.

    `ended` are the calls that the provider says have ended; None: it was not asked. `turns` are those of its turns
    in the queue that it can give back no more.
    """

    run_id: str
    calls: tuple[str, ...]
    intents: int
    ended: tuple[str, ...] | None = None
    turns: tuple[DeadTurn, ...] = ()


def orphans(name: str = "") -> list[Orphans]:
    """Those of one run, or of every run that no process writes; runs without any are left out."""
    settings = wiring.settings()
    store = wiring.store_if_any(settings, rehearsal=False)
    turns: dict[str, list[DeadTurn]] = {}
    if store is not None:
        with closing(store):
            for each in _dead(store, name):
                turns.setdefault(each.run_id, []).append(DeadTurn(region=each.region, calls=each.calls))
    return _with_turns([_found(folder) for folder in _folders(name)], turns)


def reap(name: str = "") -> list[Orphans]:
    """End the orphans, and journal those that the provider says have ended.

    What dead turns in the queue left behind is ended too and their GPUs are freed, as the next run there would.
    """
    found = [anyio.run(partial(_reap, folder)) for folder in _folders(name)]
    settings = wiring.settings()
    store = wiring.store_if_any(settings, rehearsal=False)
    if store is None:
        return found
    with closing(store):
        return _with_turns(found, anyio.run(partial(_reclaim, store, _dead(store, name), settings)))


def _folders(name: str) -> list[RunFolder]:
    """The run of that name, or all that began and that no process writes.

    Those that came to their end are among them: a call that ran into its time limit may still run.
    """
    runs = Runs(wiring.settings().home)
    if name:
        named = runs.find(name)
        found = _found(named)
        return [named] if found.calls or found.intents else []
    left = [each for each in runs.summaries() if each.open_calls and each.state is not RunState.RUNNING]
    return [runs.find(each.run_id) for each in left]


def _found(folder: RunFolder) -> Orphans:
    standings = folder.recover()[0].standings
    return Orphans(run_id=folder.run_id, calls=tuple(standings.open_calls), intents=standings.intents)


async def _reap(folder: RunFolder) -> Orphans:
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.writing())
        recovered, began = folder.recover()
        calls = tuple(recovered.standings.open_calls)
        kept = await stack.enter_async_context(journal.reopen(folder.journal, recovered))
        if began.ends_its_provider or not isinstance(began.spec.target, ModalTarget):
            ended = calls  # their provider ended with the run that played it
        else:
            ended = await _end(began.spec, calls)
        for call in ended:
            await kept.append(ev.OrphanEnded(at=time.time(), call_id=call))
    return Orphans(run_id=folder.run_id, calls=calls, intents=recovered.standings.intents, ended=ended)


async def _reclaim(store: Store, dead: list[Ticket], settings: Settings) -> dict[str, list[DeadTurn]]:
    turns: dict[str, list[DeadTurn]] = {}
    if not dead:
        return turns
    async with wiring.executor(bare_jobs.any_spec(settings), emulator=None) as executor:
        if executor.containers is None:
            raise AssertionError("beacon's own apps have containers")
        mender = Mender(
            store,
            taking_turns.holder(),
            executor=executor,
            containers=executor.containers,
            windows=Windows(
                executor.containers, Leftovers(settings.home), run_id="", is_over=lambda _: False, clock=time.time
            ),
        )
        for each in dead:
            freed = await mender.reclaim([each.id])
            turns.setdefault(each.run_id, []).append(DeadTurn(region=each.region, calls=each.calls, freed=freed))
    return turns


def _with_turns(found: list[Orphans], turns: dict[str, list[DeadTurn]]) -> list[Orphans]:
    known = {each.run_id: each for each in found}
    for run_id, dead in turns.items():
        orphans_of = known.get(run_id, Orphans(run_id=run_id, calls=(), intents=0))
        known[run_id] = msgspec.structs.replace(orphans_of, turns=tuple(dead))
    return list(known.values())


def _dead(store: Store, name: str) -> list[Ticket]:
    now = store.snapshot()
    every = (each for line in now.regions.values() for each in line.active)
    return [each for each in every if each.expires < now.now and each.run_id.startswith(name)]


async def _end(spec: Spec, calls: tuple[str, ...]) -> tuple[str, ...]:
    """End these calls side by side; those that the provider says have ended."""
    ended: set[str] = set()

    async def end(executor: Executor, call: str) -> None:
        if await executor.cancel(call):
            ended.add(call)

    async with wiring.executor(spec, emulator=None) as executor, anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(end, executor, call)
    return tuple(call for call in calls if call in ended)
