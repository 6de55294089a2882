"""Begin a run, or go on with one: open what it needs, conduct it, write its results, say how it ended."""

from __future__ import annotations

import os
import random
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import msgspec

from beacon_cli import __version__, amendment, circles, conduct, journal, replay, rows, selection, wiring
from beacon_cli import events as ev
from beacon_cli.counts import State
from beacon_cli.disk import DISK, Disk
from beacon_cli.display import paper
from beacon_cli.errors import StoreError, UsageError
from beacon_cli.evidence.registration import design_hash
from beacon_cli.model import SimulatedTarget, Spec
from beacon_cli.operations import loops, playing, taking_turns
from beacon_cli.operations.ahead import Ahead
from beacon_cli.operations.orders import Continuation, Order, Terms, retargeted
from beacon_cli.operations.stopping import Stop, not_put_back
from beacon_cli.plan import Plan
from beacon_cli.ports import Executor, Journal
from beacon_cli.queues.open import OpenQueue
from beacon_cli.results import Standings, pending
from beacon_cli.runs import RunFolder, Runs, RunState, make_folder, new_run_id
from beacon_cli.settings import Settings
from beacon_cli.turns.queueing import TicketQueue
from beacon_cli.wiring import Show

if TYPE_CHECKING:  # most runs have no budget, and what reckons one takes milliseconds
    from beacon_cli.operations.budgeting import Budget

FAILED = 3
"""The exit code of a run that ended and has not every answer."""


class Ended(NamedTuple):
    """A run that has ended: its exit code, how it stands, where it is kept, what is ready to show it."""

    code: int
    standings: Standings
    folder: RunFolder
    ahead: Ahead


def run(order: Order, disk: Disk = DISK) -> int:
    """Carry a job out; gives the exit code. All that is kept goes through `disk`.

    Raises:
        BeaconError: the job is wrong, nothing could start, or a store failed.
    """
    settings = wiring.settings()
    job, spec = wiring.job(order.job, settings)
    spec = retargeted(selection.narrow(spec, order.selection, settings.regions), order.executor, speed=order.speed)
    spec = _budgeted(spec, order.terms.max_cost)
    begun = _unfinished(Runs(settings.home, disk), order, spec) if order.resume else None
    if begun:
        return go_on(_continued(begun, order), disk)
    ended = begin(order, settings, job, spec, disk)
    _summarise(ended.standings, ended.folder, order.show, ended.ahead)
    return ended.code


def begin(order: Order, settings: Settings, job: bytes, spec: Spec, disk: Disk = DISK) -> Ended:
    """Carry a spec out as a new run, which keeps `job` as its file; no summary is shown. Raises as `run`."""
    plan = Plan(spec)
    options = loops.options(spec, len(plan))
    return anyio.run(partial(_begin, order, settings, job, plan, disk), backend_options=options)


def go_on(continuation: Continuation, disk: Disk = DISK) -> int:
    """Go on with a run that was interrupted, or ask again what failed in it; gives the exit code.

    All that is kept goes through `disk`.

    Raises:
        BeaconError: there is no such run, its job has changed, nothing could start, or a store failed.
    """
    settings = wiring.settings()
    folder = _chosen(Runs(settings.home, disk), continuation)
    began, _ = replay.ends(folder.journal) if folder.journal.exists() else (None, None)
    options = loops.options(began.spec, sum(began.planned.values())) if began else {}
    return anyio.run(partial(_go_on, continuation, settings, folder, disk), backend_options=options)


def _continued(run: str, order: Order) -> Continuation:
    return Continuation(
        run=run,
        speed=order.speed,
        output=order.output,
        terms=order.terms,
        show=order.show,
    )


def _chosen(runs: Runs, continuation: Continuation) -> RunFolder:
    """The run that is named, or the latest that there is something to do for."""
    if continuation.run:
        return runs.find(continuation.run)
    if not continuation.again:
        return runs.latest(unfinished=True)
    for summary in runs.summaries():
        if summary.failed or summary.skipped:
            return runs.find(summary.run_id)
    raise UsageError("there is no run in which anything failed")


def _unfinished(runs: Runs, order: Order, spec: Spec) -> str | None:
    """The id of the latest interrupted run that the same command began, if there is one.

    A rehearsal is never gone on with as a real run, which costs money, nor the other way round.
    """
    path = str(order.job.absolute())
    for summary in runs.summaries():
        if summary.state is not RunState.INTERRUPTED or summary.job_file != path:
            continue
        if order.run_id not in {None, summary.run_id} or summary.rehearsal is not _is_rehearsal(order, spec):
            continue
        began, _ = replay.ends(runs.find(summary.run_id).journal)
        if began and began.selection == order.selection and type(began.spec.target) is type(spec.target):
            return summary.run_id
    return None


def _is_rehearsal(order: Order, spec: Spec) -> bool:
    return order.rehearse or isinstance(spec.target, SimulatedTarget) or wiring.played(spec) is not None


async def _begin(order: Order, settings: Settings, job: bytes, plan: Plan, disk: Disk) -> Ended:
    rehearsal = _is_rehearsal(order, plan.spec)
    played = None if order.rehearse else wiring.played(plan.spec)
    async with AsyncExitStack() as stack:
        executor = await _prepared(
            stack, plan, rehearsal_speed=order.speed if order.rehearse else None, output=order.output
        )
        budget, terms = await _budget(plan, executor, settings, order.terms, rehearsal=rehearsal)
        run_id = new_run_id(time.time(), random.random) if order.run_id is None else order.run_id
        folder = Runs(settings.home, disk).create(run_id, job)
        stack.enter_context(folder.writing())
        alone = rehearsal and played is None
        taken = taking_turns.queue(run_id, plan, executor, settings, rehearsal=alone, terms=terms)
        try:
            queue = await stack.enter_async_context(taken)
        except BaseException:
            folder.forget()
            raise
        kept = await stack.enter_async_context(journal.create(folder.journal, disk))
        opening = ev.RunStarted(
            at=time.time(),
            run_id=run_id,
            spec=plan.spec,
            planned=plan.planned,
            fingerprint=plan.fingerprint,
            rehearsal=rehearsal,
            beacon=__version__,
            job_file=str(order.job.absolute()) if order.job.name else "",
            selection=order.selection,
            design=design_hash(plan.spec),
            speed=playing.speed(plan.spec, played or order.speed, rehearsal=rehearsal),
            keep_warm=terms.keep_warm,
            emulator=played is not None,
        )
        standings, ahead = Standings(), Ahead()
        means = _Means(plan, executor, queue, kept, folder, budget)
        code = await _carried_out(means, opening, standings, order, ahead)
    return Ended(code, standings, folder, ahead)


async def _go_on(continuation: Continuation, settings: Settings, folder: RunFolder, disk: Disk) -> int:
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.writing())
        recovered, began = folder.recover()
        past = recovered.standings
        present = _present_spec(began, settings, amend=continuation.amend)
        last = past.run.spec.budget if past.run else None
        plan = Plan(_budgeted(present, continuation.terms.max_cost or last))
        played = playing.played_still(began, plan.spec)
        if past.finished and not continuation.again and not any(pending(past, e.id) for e in plan.executions()):
            _write_results(folder, plan, past, continuation.output)
            paper.say([f"nothing is pending in run {folder.run_id}"], sys.stderr)
            _summarise(past, folder, continuation.show, Ahead())
            return _code(past)
        executor = await _prepared(
            stack,
            plan,
            rehearsal_speed=continuation.speed if began.ends_its_provider else None,
            output=continuation.output,
        )
        budget, terms = await _budget(
            plan,
            executor,
            settings,
            continuation.terms,
            rehearsal=began.rehearsal,
            journal=folder.journal,
            past=past,
        )
        queue = await stack.enter_async_context(
            taking_turns.queue(
                began.run_id,
                plan,
                executor,
                settings,
                rehearsal=began.ends_its_provider,
                terms=terms,
                pending=_pending(plan, past, again=continuation.again),
            )
        )
        kept = await stack.enter_async_context(journal.reopen(folder.journal, recovered, disk))
        opening = ev.RunResumed(
            at=time.time(),
            run_id=began.run_id,
            spec=plan.spec,
            planned=plan.planned,
            beacon=__version__,
            again=continuation.again,
            speed=playing.speed(plan.spec, played or continuation.speed, rehearsal=began.rehearsal),
            keep_warm=terms.keep_warm,
        )
        means, ahead = _Means(plan, executor, queue, kept, folder, budget), Ahead()
        code = await _carried_out(means, opening, past, continuation, ahead)
    _summarise(past, folder, continuation.show, ahead)
    return code


def _budgeted(spec: Spec, limit: float | None) -> Spec:
    """The spec with this budget in place of the job's, if there is one."""
    return spec if limit is None else msgspec.structs.replace(spec, budget=limit)


def _pending(plan: Plan, past: Standings, *, again: bool) -> dict[str, int]:
    """How many executions each region has left, by its id; with `again` what failed for good is among them."""
    left = dict.fromkeys(plan.planned, 0)
    for execution in plan.executions():
        progress = past.executions.get(execution.id)
        is_failed = progress is not None and progress.state is State.FAILED
        left[execution.region.id] += pending(past, execution.id) is not None or (again and is_failed)
    return left


def _present_spec(began: ev.RunStarted, settings: Settings, *, amend: bool) -> Spec:
    """The spec to go on with: as the run began, or as its job file has grown since.

    Raises:
        UsageError: the job file has changed, and that was not asked for or cannot be.
    """
    path = Path(began.job_file)
    if not began.job_file or not path.exists():
        return began.spec
    now = selection.narrow(wiring.job(path, settings)[1], began.selection, settings.regions)
    if isinstance(began.spec.target, SimulatedTarget) and not isinstance(now.target, SimulatedTarget):
        now = msgspec.structs.replace(now, target=began.spec.target)  # so it was asked for on the command line
    found = amendment.changes(began.spec, now)
    if found.refused:
        raise UsageError(
            f"run {began.run_id} cannot go on with {path} as it is now: {'; '.join(found.refused)}."
            " Put that back, or begin a new run"
        )
    if found.added and not amend:
        raise UsageError(
            f"{path} has changed since run {began.run_id} began: {'; '.join(found.added)}."
            " Take it up with --amend, or put the file back"
        )
    return now


async def _prepared(
    stack: AsyncExitStack, plan: Plan, *, rehearsal_speed: float | None, output: Path | None
) -> Executor:
    """The run's executor, open and with everything resolved that the plan will call; a place for the results."""
    if output is not None:
        make_folder(output)
    target, emulator = plan.spec.target, None
    if rehearsal_speed is not None and not isinstance(target, SimulatedTarget):
        emulator = stack.enter_context(wiring.emulated(target, plan.cells(), rehearsal_speed))
    executor = await stack.enter_async_context(wiring.executor(plan.spec, emulator=emulator))
    await executor.prepare(plan.cells())
    return executor


async def _budget(
    plan: Plan,
    executor: Executor,
    settings: Settings,
    terms: Terms,
    *,
    rehearsal: bool,
    journal: Path | None = None,
    past: Standings | None = None,
) -> tuple[Budget | None, Terms]:
    """See `budgeting.budget`."""
    if plan.spec.budget is None:
        return None, terms
    from beacon_cli.operations import budgeting

    return await budgeting.budget(
        plan,
        executor,
        settings,
        terms,
        rehearsal=rehearsal,
        past=replay.read(journal) if journal else (),
        standings=past,
    )


class _Means(NamedTuple):
    """What a run is carried out with, all of it open.

    Without `queue` nobody waits for a turn, without `budget` nothing is counted.
    """

    plan: Plan
    executor: Executor
    queue: TicketQueue | None
    journal: Journal
    folder: RunFolder
    budget: Budget | None


async def _carried_out(
    means: _Means,
    opening: ev.RunStarted | ev.RunResumed,
    standings: Standings,
    asked: Order | Continuation,
    ahead: Ahead,
) -> int:
    """Conduct the run and write its results, listening to signals all the while; gives the exit code."""
    queue = means.queue
    stop = Stop(opening.run_id, standings, lambda: queue.changed if queue else 0)
    with stop.caught():
        try:
            async with wiring.display(asked.show) as display, AsyncExitStack() as stack:
                recorder = conduct.Recorder(means.journal, standings, [display, ahead])
                if queue is not None:
                    recorder.add(queue)
                    await stack.enter_async_context(queue.open(recorder.emit, standings))
                if means.budget is not None:
                    recorder.add(means.budget)
                    means.budget.open(recorder.emit, stop.spent)
                circles.look()
                loops.share()
                await conduct.conduct(
                    means.plan,
                    opening=opening,
                    recorder=recorder,
                    queue=queue or OpenQueue(),
                    executor=means.executor,
                    stops=stop.wishes(),
                    clock=time.time,
                    rand=random.random,
                )
            _write_results(means.folder, means.plan, standings, asked.output)
        except* StoreError as group:
            raise _resumable(group, opening.run_id, standings) from None
        finally:
            paper.tell(not_put_back(queue.changed if queue else 0))
    return stop.exit_code if standings.interrupted else _code(standings)


def _code(standings: Standings) -> int:
    return 0 if standings.total("succeeded") == standings.planned else FAILED


def _resumable(group: BaseExceptionGroup[StoreError], run_id: str, standings: Standings) -> StoreError:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if standings.run is None:
        return StoreError(f"{first}. Nothing has begun: mend that, then run it anew")
    return StoreError(f"{first}. Mend that, then: beacon resume {run_id}")


def _write_results(folder: RunFolder, plan: Plan, standings: Standings, output: Path | None) -> None:
    found = replay.result_rows(folder.journal, plan.executions(), standings)
    folder.write_results(map(rows.to_line, found))
    if output:
        folder.copy_results(output)


def _summarise(standings: Standings, folder: RunFolder, show: Show, ahead: Ahead) -> None:
    standings.executions.clear()  # thousands there may be, and the picture is made of counts
    reader = ahead.reader()
    from beacon_cli.operations import looking, noting  # loaded by now, or not needed for a start

    stream = sys.stderr if show.json else sys.stdout
    looking.summarise(standings, folder, stream, read=True, reader=reader, whole=False)
    noting.note(standings, os.environ)
