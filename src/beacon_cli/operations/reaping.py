"""Calls that nobody waits for any more: found in the journals of runs, ended at the provider."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from functools import partial

import anyio
import msgspec

from beacon_cli import events as ev
from beacon_cli import journal, wiring
from beacon_cli.model import ModalTarget
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
    runs = Runs(wiring.settings().home)
    if name:
        named = runs.find(name)
        found = _found(named)
        return [named] if found.calls or found.intents else []
    left = [each for each in runs.summaries() if each.open_calls and each.state is not RunState.RUNNING]
    return [runs.find(each.run_id) for each in left]


def _found(folder: RunFolder) -> Orphans:
    standings = folder.recovered()[1].standings
    return Orphans(run_id=folder.run_id, calls=tuple(standings.open_calls), intents=standings.intents)


async def _reap(folder: RunFolder) -> Orphans:
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.writing())
        began, recovered = folder.recovered()
        standings = recovered.standings
        calls = tuple(standings.open_calls)
        kept = await stack.enter_async_context(journal.reopen(folder.journal, recovered))
        ended: list[str] = []
        if began.rehearsal or not isinstance(began.spec.target, ModalTarget):
            ended.extend(calls)  # their provider ended with the run that played it
        else:
            executor = await stack.enter_async_context(wiring.executor(began.spec, emulator=None))
            ended.extend([call for call in calls if await executor.cancel(call)])
        for call in ended:
            await kept.append(ev.OrphanEnded(at=time.time(), call_id=call))
        return Orphans(run_id=folder.run_id, calls=calls, intents=standings.intents, ended=tuple(ended))
