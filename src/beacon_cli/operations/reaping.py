"""Calls that nobody waits for any more: found in the journals of runs, ended at the provider."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from functools import partial

import anyio
import msgspec

from beacon_cli import events as ev
from beacon_cli import journal, wiring
from beacon_cli.model import ModalTarget, Spec
from beacon_cli.ports import Executor
from beacon_cli.runs import RunFolder, Runs, RunState


class Orphans(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may have left behind: calls by id, and attempts of which only the intent is on disk.

    `ended` are the calls that the provider says have ended; None: it was not asked.
    """

    run_id: str
    calls: tuple[str, ...]
    intents: int
    ended: tuple[str, ...] | None = None


def orphans(name: str = "") -> list[Orphans]:
    """Those of one run, or of every run that no process writes; runs without any are left out."""
    return [_found(folder) for folder in _folders(name)]


def reap(name: str = "") -> list[Orphans]:
    """End the orphans, and journal those that the provider says have ended."""
    return [anyio.run(partial(_reap, folder)) for folder in _folders(name)]


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
        if began.rehearsal or not isinstance(began.spec.target, ModalTarget):
            ended = calls  # their provider ended with the run that played it
        else:
            ended = await _end(began.spec, calls)
        for call in ended:
            await kept.append(ev.OrphanEnded(at=time.time(), call_id=call))
    return Orphans(run_id=folder.run_id, calls=calls, intents=recovered.standings.intents, ended=ended)


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
