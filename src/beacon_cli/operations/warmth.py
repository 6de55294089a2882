"""Containers started before anybody asks, kept for a time, and let go: `prewarm`, `warm`, `cool`, `probe`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from beacon_cli import hours, selection, wiring
from beacon_cli.display import paper
from beacon_cli.display.clean import excerpt
from beacon_cli.display.queueing import pool_name
from beacon_cli.display.words import count
from beacon_cli.errors import UsageError
from beacon_cli.leftovers import Leftover, Leftovers
from beacon_cli.model import Selection, Spec
from beacon_cli.names import RegionNames
from beacon_cli.operations import bare_jobs, readiness, taking_turns, visiting
from beacon_cli.operations.visiting import Visit
from beacon_cli.runs import Runs
from beacon_cli.settings import Settings
from beacon_cli.turns.windows import Windows


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which containers: a job's, or those of beacon's own apps; of these regions and models, empty for all."""

    job: Path | None = None
    regions: Sequence[str] = ()
    models: Sequence[str] = ()
    wait: bool = False
    as_json: bool = False


def prewarm(wanted: Wanted) -> int:
    """Start a container of each model and wait until it serves; gives 0 only if all do.

    Raises:
        BeaconError: as `visiting.visit`, and where the job or a name is wrong.
    """
    settings = wiring.settings()
    spec = _spec(wanted, settings)
    watcher = readiness.Watcher(quiet=wanted.as_json)
    code = visiting.visit(spec, settings, _wake, wait=wanted.wait, watcher=watcher)
    return code or readiness.tell(spec, watcher, as_json=wanted.as_json)


def probe(wanted: Wanted) -> int:
    """Start the containers of a region from cold, switched off or not, say how long each took, and let them go.

    Raises:
        BeaconError: as `prewarm`.
    """
    settings = wiring.settings()
    spec = _spec(wanted, msgspec.structs.replace(settings, regions_off=()))
    watcher = readiness.Watcher(quiet=wanted.as_json)

    async def work(visit: Visit) -> None:
        await visit.turn.admit(visit.models, fresh=True)
        try:
            await _wake(visit)
        finally:
            with anyio.CancelScope(shield=True):
                await visit.turn.admit(visit.models, fresh=True)

    code = visiting.visit(spec, settings, work, wait=wanted.wait, watcher=watcher)
    if code == 0 and not wanted.as_json:
        paper.say((watcher.slowest(region.id) for region in spec.regions), sys.stdout)
    return code or readiness.tell(spec, watcher, as_json=wanted.as_json)


def cool(wanted: Wanted) -> int:
    """Put windows back that nobody needs changed any more; of a job or region that is named, let containers go.

    Raises:
        BeaconError: as `prewarm`.
    """
    settings = wiring.settings()
    left = Leftovers(settings.home).every()
    running = [each for each in left if each.run_id and _goes_on(settings, each)]
    over = [each for each in left if each not in running]
    mended = anyio.run(_mend, settings, over)
    lines = []
    for each in left:
        pool = excerpt(pool_name(each.pool), 200)
        if each in running:
            lines.append(f"{pool}: changed by run {each.run_id}, which goes on")
        elif each in mended:
            lines.append(_mended(each))
        else:
            lines.append(f"{pool}: NOT PUT BACK: Modal could not be asked")
    code = 0 if len(mended) == len(over) else readiness.NOT_ALL
    if wanted.job or wanted.regions or wanted.models:
        spec = _spec(wanted, msgspec.structs.replace(settings, regions_off=()))
        stopped = visiting.visit(spec, settings, _let_go, wait=wanted.wait, watcher=readiness.Watcher(quiet=True))
        if stopped:
            return stopped
        lines += [
            f"{region.id}: no container of {count(len(spec.models), 'model')} lives any more"
            for region in spec.regions
        ]
    paper.say(lines or ["no window is changed: nothing to put back"], sys.stdout)
    return code


def warm(wanted: Wanted, *, apply: bool) -> int:
    """Say whether a job's containers are to be kept warm now, and with `apply` see to it. For cron.

    Raises:
        UsageError: the job says nothing of hours.
        BeaconError: as `prewarm`.
    """
    settings = wiring.settings()
    if wanted.job is None:
        raise UsageError("name the job whose keep_warm is to be followed")
    whole = _spec(wanted, settings)
    if whole.keep_warm is None:
        raise UsageError(f'{wanted.job} has no keep_warm: {{hours: "Mon-Fri 08:00-18:00 Europe/London"}}')
    regions = tuple(region for region in whole.regions if region.id in whole.keep_warm.regions)
    is_time = hours.parse(whole.keep_warm.hours).hold(time.time())
    where = ", ".join(region.id for region in regions)
    said = f"{whole.keep_warm.hours}: {'now' if is_time else 'not now'}, {where}"
    if not apply or not regions:
        paper.say([said if regions else f"{said}no region that is on"], sys.stdout)
        return 0
    spec = msgspec.structs.replace(whole, regions=regions)
    paper.say([said], sys.stdout)
    return _keep(spec, settings, wanted) if is_time else _unkeep(spec, settings)


def _keep(spec: Spec, settings: Settings, wanted: Wanted) -> int:
    async def work(visit: Visit) -> None:
        windows = Windows(
            visit.containers, Leftovers(settings.home), run_id="", is_over=lambda _: False, clock=time.time
        )
        await visit.turn.admit(visit.models, fresh=False)
        for model in visit.models:
            await windows.keep(visit.containers.pool(visit.region, model))
        await _wake(visit)

    watcher = readiness.Watcher(quiet=wanted.as_json)
    code = visiting.visit(spec, settings, work, wait=wanted.wait, watcher=watcher)
    return code or readiness.tell(spec, watcher, as_json=wanted.as_json)


def _unkeep(spec: Spec, settings: Settings) -> int:
    """Put back what an earlier `warm --apply` has kept, of this job's pools alone."""

    async def ours() -> list[str]:
        async with wiring.executor(spec, emulator=None) as executor:
            if executor.containers is None:
                return []
            pool = executor.containers.pool
            return [pool(region, model) for region in spec.regions for model in spec.models]

    pools = anyio.run(ours)
    over = [each for each in Leftovers(settings.home).every() if not each.run_id and each.pool in pools]
    mended = anyio.run(_mend, settings, over)
    paper.say(map(_mended, mended), sys.stdout)
    return 0 if len(mended) == len(over) else readiness.NOT_ALL


async def _wake(visit: Visit) -> None:
    await visit.turn.admit(visit.models, fresh=False)
    async with anyio.create_task_group() as group:
        for model in visit.models:
            group.start_soon(visit.turn.warm, model)


async def _let_go(visit: Visit) -> None:
    await visit.turn.admit(visit.models, fresh=True)


async def _mend(settings: Settings, over: list[Leftover]) -> list[Leftover]:
    """Put these windows back; gives those of which nothing is left to do."""
    if not over:
        return []
    kept = Leftovers(settings.home)
    async with wiring.executor(bare_jobs.any_spec(settings), emulator=None) as executor:
        if executor.containers is None:
            raise AssertionError("beacon's own apps have containers")
        windows = Windows(executor.containers, kept, run_id="", is_over=lambda _: True, clock=time.time)
        await windows.mend(over)
    left = {each.pool for each in kept.every()}
    return [each for each in over if each.pool not in left]


def _goes_on(settings: Settings, each: Leftover) -> bool:
    return not taking_turns.is_over(Runs(settings.home), "", each.run_id)


def _spec(wanted: Wanted, settings: Settings) -> Spec:
    """What the job, or beacon's own apps, have in these regions.

    Raises:
        UsageError, SpecError: a name is wrong, or the job is.
    """
    if wanted.job is not None:
        spec = wiring.job(wanted.job, settings)[1]
        narrowed = Selection(regions=tuple(wanted.regions), models=tuple(wanted.models))
        return msgspec.structs.replace(selection.narrow(spec, narrowed, settings.regions), id=_ID)
    names = RegionNames(settings.regions)
    for name in wanted.regions:
        region = names.get(name)
        if region is None:
            raise UsageError(f"--region: {names.unknown(name)}")
        if region.id in settings.regions_off:
            raise UsageError(f"region {region.id} is switched off in the configuration: try `beacon probe`")
    regions = wanted.regions or [each.id for each in settings.regions if each.id not in settings.regions_off]
    return bare_jobs.spec(_ID, settings, regions=list(regions), models=wanted.models or bare_jobs.MODELS)


_ID = "warmth"
"""The name of the job that stands in the queue for these commands."""


def _mended(each: Leftover) -> str:
    least = f" and {each.before.min_containers} always" if each.before.min_containers else ""
    return f"{excerpt(pool_name(each.pool), 200)}: its window is {each.before.seconds} s{least} again"
