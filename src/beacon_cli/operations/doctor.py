"""What would stop a run, or make it slow or dear, each with its remedy: `beacon doctor`. Changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path

import anyio
import msgspec

from beacon_cli import granting, wiring
from beacon_cli.display import paper
from beacon_cli.display.clean import excerpt
from beacon_cli.display.queueing import pool_name
from beacon_cli.display.words import count, precise
from beacon_cli.errors import BeaconError, StartError
from beacon_cli.leftovers import Leftover, Leftovers
from beacon_cli.model import (
    Deployed,
    ModalTarget,
    Model,
    OpenaiTarget,
    PoolStanding,
    Region,
    SimulatedTarget,
    Spec,
)
from beacon_cli.names import suggestion
from beacon_cli.operations import bare_jobs, taking_turns
from beacon_cli.plan import Plan, of_one_address
from beacon_cli.ports import Containers, Endpoints, Executor, Version
from beacon_cli.runs import Runs, RunState
from beacon_cli.settings import Settings
from beacon_cli.templates import cell_values, fill
from beacon_cli.tickets import Snapshot

_STOPPED = 5
_LEAST_ROOM = 200_000_000
"""Bytes free in the state folder below which runs may fail."""
_WIDTH = 400
_FEW = 4
_DAY = 86_400.0
"""Seconds for which nothing is kept warm that follows business hours."""


class Grade(StrEnum):
    """How bad a finding is: fine, worth a look, or no run can start."""

    FINE = "ok"
    LOOK = "look"
    STOP = "stop"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: what, how bad, what was seen, and what to do about it."""

    about: str
    grade: Grade
    said: str
    remedy: str = ""


def doctor(job: Path | None, *, as_json: bool) -> int:
    """Look at everything that a run of this job needs, and print what was found; 5 when it could not start.

    Raises:
        SpecError: the configuration or the job is wrong.
    """
    settings = wiring.settings()
    regions = [each.id for each in settings.regions if each.id not in settings.regions_off]
    spec = wiring.job(job, settings)[1] if job else bare_jobs.spec("doctor", settings, regions=regions)
    found = [*_home(settings), *_queue(settings), *_left(settings), *anyio.run(_provider, spec, settings)]
    if as_json:
        paper.put(json.dumps([msgspec.to_builtins(each) for each in found]), sys.stdout)
    else:
        paper.say(_lines(found), sys.stdout, whole=True)
    return _STOPPED if any(each.grade is Grade.STOP for each in found) else 0


def _lines(found: list[Finding]) -> Iterator[str]:
    for each in found:
        yield f"{each.grade.value:<5} {excerpt(each.about, 40)}: {excerpt(each.said, _WIDTH)}"
        if each.remedy:
            yield f"      -> {excerpt(each.remedy, _WIDTH)}"
    worst = [sum(each.grade is grade for each in found) for grade in (Grade.STOP, Grade.LOOK)]
    if any(worst):
        yield f"{count(worst[0], 'thing')} would stop a run, {worst[1]} worth a look"
    else:
        yield "all is well"


def _home(settings: Settings) -> Iterator[Finding]:
    """Whether the state folder can be written, and has room."""
    about, home = "state folder", settings.home
    there = next((each for each in (home, *home.parents) if each.exists()), home)
    if not os.access(there, os.W_OK | os.X_OK):
        remedy = "give yourself the right to write there, or set BEACON_HOME to another folder"
        yield Finding(about=about, grade=Grade.STOP, said=f"{home} cannot be written", remedy=remedy)
        return
    free = shutil.disk_usage(there).free
    said = f"{home}, {free / 1e9:.1f} GB free"
    if free < _LEAST_ROOM:
        yield Finding(about=about, grade=Grade.LOOK, said=said, remedy="make room: a full disk stops a run")
    else:
        yield Finding(about=about, grade=Grade.FINE, said=said)


def _queue(settings: Settings) -> Iterator[Finding]:
    """Whether the queue can be reached and allows what this configuration says; what stands still in it."""
    about = "queue"
    try:
        store = wiring.store_if_any(settings, rehearsal=False)
        if store is None:
            yield Finding(about=about, grade=Grade.FINE, said="none yet: the first run makes it")
            return
        with closing(store):
            now, aside = store.snapshot(), store.set_aside()
    except BeaconError as error:
        remedy = "mend the store, or name another with BEACON_QUEUE"
        yield Finding(about=about, grade=Grade.STOP, said=str(error), remedy=remedy)
        return
    yield from _caps(settings, now)
    for line in now.regions.values():
        if line.paused:
            remedy = f"beacon queue resume --region {line.region}"
            yield Finding(about=about, grade=Grade.LOOK, said=f"region {line.region} is paused", remedy=remedy)
        for each in line.active:
            if each.expires < now.now:
                said = f"run {each.run_id} has died in region {line.region} and holds {count(each.gpus, 'GPU')}"
                remedy = "beacon reap; the next run there does it too"
                yield Finding(about=about, grade=Grade.LOOK, said=said, remedy=remedy)
    for run_id, regions in aside.items():
        said = f"run {run_id} is set aside in {', '.join(regions)}: processes died of it"
        yield Finding(about=about, grade=Grade.LOOK, said=said, remedy=f"beacon queue release {run_id}")


def _caps(settings: Settings, now: Snapshot) -> Iterator[Finding]:
    reserved = sum(line.gpus for line in now.regions.values())
    said = f"{reserved} of {count(now.caps.gpus_total, 'GPU')} taken, {now.caps.gpus_per_region} a region"
    different = granting.differences(now.caps, wiring.caps(settings))
    if different:
        shown = ", ".join(f"{name} is {there} there and {here} here" for name, (there, here) in different.items())
        remedy = "set them alike in beacon.toml, or change the queue's: beacon queue caps --set"
        yield Finding(about="queue", grade=Grade.STOP, said=shown, remedy=remedy)
    else:
        yield Finding(about="queue", grade=Grade.FINE, said=said)


def _left(settings: Settings) -> Iterator[Finding]:
    """What crashed runs have left: windows that were changed, calls that may still run."""
    about = "leftovers"
    try:
        runs = Runs(settings.home)
        changed = Leftovers(settings.home).every()
        over = [each for each in changed if each.run_id and taking_turns.is_over(runs, "", each.run_id)]
        calling = [each for each in runs.summaries() if each.open_calls and each.state is not RunState.RUNNING]
    except BeaconError as error:
        yield Finding(about=about, grade=Grade.LOOK, said=str(error))
        return
    for window in over:
        said = f"{pool_name(window.pool)}: run {window.run_id} changed its window and is gone"
        yield Finding(about=about, grade=Grade.LOOK, said=said, remedy="beacon cool")
    yield from map(_kept, (each for each in changed if not each.run_id))
    for run in calling:
        said = f"run {run.run_id}: {count(run.open_calls, 'call')} may still run and cost money"
        yield Finding(about=about, grade=Grade.LOOK, said=said, remedy=f"beacon reap {run.run_id}")
    if not over and not calling:
        yield Finding(about=about, grade=Grade.FINE, said="none")


def _kept(window: Leftover) -> Finding:
    """What `beacon warm --apply` keeps: on purpose, and for longer than business hours perhaps not."""
    seconds = max(0.0, time.time() - window.at)
    said = f"{pool_name(window.pool)}: kept warm by `beacon warm --apply` for {precise(seconds)}"
    if seconds < _DAY:
        return Finding(about="kept warm", grade=Grade.FINE, said=said)
    remedy = "beacon cool, unless it is to be; see whether cron still runs `beacon warm --apply` for its job"
    return Finding(about="kept warm", grade=Grade.LOOK, said=f"{said}, and costs money", remedy=remedy)


async def _provider(spec: Spec, settings: Settings) -> list[Finding]:
    """Credentials, then each pair of region and model as it is deployed, then GPUs as the provider counts them."""
    plan = Plan(spec)
    if isinstance(spec.target, SimulatedTarget):
        return [Finding(about="executor", grade=Grade.FINE, said="simulated: needs nothing")]
    endpoints = wiring.endpoints(spec)
    if endpoints is not None:
        async with endpoints as looked_at:
            found = [await _endpoint(plan, region, looked_at) for region in plan.regions]
            return [*found, *_shared(plan)]
    try:
        async with wiring.executor(spec, emulator=None) as executor:
            found = [each async for each in _cells(plan, executor)]
            if len({(each.grade, each.said) for each in found}) == 1 and found[0].grade is Grade.STOP:
                return [Finding(about="provider", grade=Grade.STOP, said=found[0].said)]  # one fault, not many
            found += await _versions(plan)
            if executor.containers is not None:
                found += [each async for each in _gpus(plan, executor.containers, settings)]
            return found
    except StartError as error:
        return [Finding(about="provider", grade=Grade.STOP, said=str(error))]


async def _cells(plan: Plan, executor: Executor) -> AsyncIterator[Finding]:
    for region, model in plan.cells():
        about = f"{region.id} {model.id}"
        try:
            await executor.prepare([(region, model)])
        except StartError as error:
            remedy = f"beacon deploy --region {region.id}"
            yield Finding(about=about, grade=Grade.STOP, said=str(error), remedy=remedy)
            continue
        if executor.containers is None:
            yield Finding(about=about, grade=Grade.FINE, said="is there")
            continue
        deployed = await executor.containers.deployed(region, model)
        window = deployed.window if deployed else None
        yield _judged(plan, region, about, deployed, coolest=window == executor.containers.coolest)


async def _versions(plan: Plan) -> list[Finding]:
    """Which version of each of the job's apps is deployed."""
    target = plan.spec.target
    if not isinstance(target, ModalTarget):
        return []
    apps = {str(fill(target.app, cell_values(*cell))): cell[0].id for cell in plan.cells()}
    found: dict[str, Version | None] = {}

    async def ask(app: str) -> None:
        found[app] = await wiring.version(app)

    async with anyio.create_task_group() as group:
        for app in apps:
            group.start_soon(ask, app)
    return [
        Finding(about=f"{region} app", grade=Grade.FINE, said=f"{app}, {_dated(found[app])}")
        for app, region in apps.items()
    ]


def _dated(version: Version | None) -> str:
    if version is None:
        return "version unknown: `modal app history` does not say"
    facts = (
        f"version {version.number}",
        f"deployed {version.at}" if version.at else "",
        f"by {version.by}" if version.by else "",
        f"tagged {version.tag}" if version.tag else "",
    )
    return " ".join(fact for fact in facts if fact)


async def _endpoint(plan: Plan, region: Region, endpoints: Endpoints) -> Finding:
    """Whether the region's endpoint is there, lets us in, and has the job's models as far as it says."""
    about = f"{region.id} endpoint"
    try:
        listing = await endpoints.listed(region)
    except StartError as error:
        return Finding(about=about, grade=Grade.STOP, said=str(error))
    if not listing.models:
        said = f"answers, and does not list its models ({listing.said or 'an empty list'})"
        return Finding(
            about=about, grade=Grade.LOOK, said=said, remedy="see that base_url ends where /models begins"
        )
    asked = [_asked_for(plan.spec, model) for model in plan.models(region)]
    # Ollama completes a name without a tag.
    absent = [name for name in asked if not {name, f"{name}:latest"} & listing.models]
    if not absent:
        said = f"answers, and lists {' and '.join(asked) if len(asked) < _FEW else 'all models of the job'}"
        return Finding(about=about, grade=Grade.FINE, said=said)
    meant = "".join(suggestion(name, sorted(listing.models)) for name in absent[:1])
    said = f"answers, and does not list {', '.join(absent)} among its {count(len(listing.models), 'model')}{meant}"
    remedy = "give the endpoint's own names in  executor.openai.models"
    return Finding(about=about, grade=Grade.LOOK, said=said, remedy=remedy)


def _shared(plan: Plan) -> Iterator[Finding]:
    """Regions that are asked at one address."""
    for said in of_one_address(plan.spec):
        remedy = "give each region's own in  executor.openai.base_url"
        yield Finding(about="regions", grade=Grade.LOOK, said=said, remedy=remedy)


def _asked_for(spec: Spec, model: Model) -> str:
    names = spec.target.models if isinstance(spec.target, OpenaiTarget) else {}
    return names.get(model.id, model.id).removeprefix("models/")


def _judged(plan: Plan, region: Region, about: str, deployed: Deployed | None, *, coolest: bool) -> Finding:
    """What a deployment says of itself, held against what the job and the configuration expect."""
    if deployed is None:
        return Finding(about=about, grade=Grade.LOOK, said="is there, and says nothing of itself")
    faults = [said for check in _CHECKS if (said := check(plan, region, deployed))]
    if coolest:
        faults.append("its window is the shortest there is: a crash left it so")
    facts = [
        f"in {', '.join(deployed.regions)}" if deployed.regions else "anywhere",
        " or ".join(deployed.gpus) or "no GPU",
        f"window {deployed.window.seconds} s" if deployed.window else "window unknown",
        f"timeout {precise(deployed.timeout)}" if deployed.timeout else "",
    ]
    if faults:
        remedy = "beacon cool" if coolest else f"beacon deploy --region {region.id}, or change the job"
        return Finding(about=about, grade=Grade.LOOK, said="; ".join(faults), remedy=remedy)
    return Finding(about=about, grade=Grade.FINE, said=", ".join(fact for fact in facts if fact))


def _place(_plan: Plan, region: Region, deployed: Deployed) -> str:
    wanted = set(region.modal)
    if not wanted or not deployed.regions or wanted >= set(deployed.regions):
        return ""
    elsewhere = ", ".join(sorted(set(deployed.regions) - wanted))
    return f"may run in {elsewhere}, and {region.id} is {', '.join(region.modal)}"


def _limit(plan: Plan, _region: Region, deployed: Deployed) -> str:
    limit = plan.spec.limits.timeout
    if deployed.timeout is None or deployed.timeout >= limit:
        return ""
    return f"ends a call after {precise(deployed.timeout)}, and the job's limits.timeout is {precise(limit)}"


_CHECKS: tuple[Callable[[Plan, Region, Deployed], str], ...] = (_place, _limit)


async def _gpus(plan: Plan, containers: Containers, settings: Settings) -> AsyncIterator[Finding]:
    """The containers that live in the job's pools and in those of the queue, against the workspace's limit."""
    pools: dict[str, str] = {}
    for region, model in plan.cells():
        pools[containers.pool(region, model)] = region.id
    store = wiring.store_if_any(settings, rehearsal=False)
    if store is not None:
        with closing(store):
            for line in store.snapshot().regions.values():
                known = [
                    *(each.pool for each in line.warm),
                    *(pool for each in line.active for pool in each.pools),
                ]
                pools |= dict.fromkeys(known, line.region)
    standings: dict[str, PoolStanding | None] = {pool: await containers.standing(pool) for pool in pools}
    unknown = sum(standing is None for standing in standings.values())
    alive = sum(standing.alive for standing in standings.values() if standing)
    running = sum(standing.running for standing in standings.values() if standing)
    said = f"{alive} of {settings.gpus_total} hold containers: {running} at work, {alive - running} idle"
    if unknown:
        said += f"; {count(unknown, 'pool')} could not be asked"
    over = alive > settings.gpus_total
    remedy = "beacon cool --region …; something beside beacon started them" if over else ""
    yield Finding(about="GPUs", grade=Grade.LOOK if over or unknown else Grade.FINE, said=said, remedy=remedy)
