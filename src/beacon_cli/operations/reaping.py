"""Calls that nobody waits for any more: found in the journals of interrupted runs, ended at the provider."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from functools import partial

import anyio
import msgspec

from beacon_cli import events as ev
from beacon_cli import journal, replay, wiring
from beacon_cli.model import ModalTarget
from beacon_cli.runs import RunFolder, Runs, RunState


class Orphans(msgspec.Struct, frozen=True, kw_only=True):
    """What an interrupted run may have left: calls by id, and attempts of which only the intent is on disk.

    `ended` are the calls that the provider says have ended; None: it was not asked.
    """

    run_id: str
    calls: tuple[str, ...]
    intents: int
    ended: tuple[str, ...] | None = None


def orphans(name: str = "") -> list[Orphans]:
    """Those of one run, or of every run that no process writes; runs without any are left out."""
    found = (_found(folder) for folder in _folders(name))
    return [each for each in found if each.calls or each.intents]


def reap(name: str = "") -> list[Orphans]:
    """End the orphans, and journal those that the provider says have ended."""
    return [anyio.run(partial(_reap, folder)) for folder in _folders(name) if _has_any(folder)]


def _folders(name: str) -> list[RunFolder]:
    runs = Runs(wiring.settings().home)
    if name:
        return [runs.find(name)]
    return [runs.find(each.run_id) for each in runs.summaries() if each.state is RunState.INTERRUPTED]


def _has_any(folder: RunFolder) -> bool:
    found = _found(folder)
    return bool(found.calls or found.intents)


def _found(folder: RunFolder) -> Orphans:
    standings = replay.recover(folder.journal).standings
    return Orphans(run_id=folder.run_id, calls=tuple(standings.open_calls), intents=standings.intents)


async def _reap(folder: RunFolder) -> Orphans:
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.writing())
        recovered = replay.recover(folder.journal)
        standings = recovered.standings
        calls = tuple(standings.open_calls)
        kept = await stack.enter_async_context(journal.reopen(folder.journal, recovered))
        ended: list[str] = []
        if standings.run is None:
            return Orphans(run_id=folder.run_id, calls=(), intents=0)
        if standings.run.rehearsal or not isinstance(standings.run.spec.target, ModalTarget):
            ended.extend(calls)  # their provider ended with the run that played it
        else:
            executor = await stack.enter_async_context(wiring.executor(standings.run.spec, emulator=None))
            ended.extend([call for call in calls if await executor.cancel(call)])
        for call in ended:
            await kept.append(ev.OrphanEnded(at=time.time(), call_id=call))
        return Orphans(run_id=folder.run_id, calls=calls, intents=standings.intents, ended=tuple(ended))
