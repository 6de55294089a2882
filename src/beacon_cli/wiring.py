"""Settings to executor, queue and display: the one room that knows every adapter.

Heavy packages come in here, inside functions, and only for what is used. Decides nothing about a run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from beacon_cli import settings as configuration
from beacon_cli.errors import Fault, SpecError, UsageError
from beacon_cli.model import JsonObject, ModalTarget, Model, OpenaiTarget, Region, SimulatedTarget, Spec
from beacon_cli.names import printable, quoted
from beacon_cli.rates import Rates, check, merged, read
from beacon_cli.settings import Settings
from beacon_cli.templates import cell_values, fill
from beacon_cli.tickets import Caps

if TYPE_CHECKING:  # not every command needs them, and they take milliseconds
    from beacon_cli import spec as jobs
    from beacon_cli.evidence.accuracy import Measured
    from beacon_cli.evidence.readings import Reader
    from beacon_cli.executors.openai import OpenaiExecutor
    from beacon_cli.ports import Deployer, Display, Endpoints, Executor, Store, Version


class Show(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown while a run goes on: progress for people, JSON lines for programs, either, both or nothing."""

    progress: bool = True
    json: bool = False


class Emulated(msgspec.Struct, frozen=True, kw_only=True):
    """Where an emulator listens, and the credentials (id and secret) that it lets in, if it asks for any."""

    url: str
    token: tuple[str, str] | None = None


def settings() -> Settings:
    """The configuration for a command started here."""
    return configuration.load(Path.cwd(), os.environ)


def job(path: Path, allowed: Settings) -> tuple[bytes, Spec]:
    """A job file as it is, and what it says.

    Raises:
        SpecError: it is wrong; every fault is named.
    """
    from beacon_cli import spec as jobs

    data = jobs.read(path)
    return data, parsed(data, path, allowed)


def parsed(data: bytes, path: Path, allowed: Settings) -> Spec:
    """What a job says that has the place `path` in complaints.

    Raises:
        SpecError: it is wrong; every fault is named.
    """
    from beacon_cli import spec as jobs

    return jobs.parse(data, path, _limits(allowed))


def foreign_job(data: bytes, name: str, allowed: Settings) -> Spec:
    """What a job says that came from outside; it may name no file and no executor but those of the configuration.

    Raises:
        SpecError: it is wrong; every fault is named, in a file of this name.
    """
    from beacon_cli import spec as jobs

    return jobs.parse(data, Path(name), msgspec.structs.replace(_limits(allowed), foreign=True))


def _limits(allowed: Settings) -> jobs.Allowed:
    from beacon_cli import spec as jobs

    return jobs.Allowed(
        regions=allowed.regions,
        regions_off=allowed.regions_off,
        gpus_total=allowed.gpus_total,
        gpus_per_region=allowed.gpus_per_region,
        executors=allowed.executors,
    )


def reader(allowed: Settings) -> Reader:
    """What reads answers, by the shipped patterns and the user's own.

    Raises:
        SpecError: a file of patterns is not there or is wrong; every fault is named.
    """
    from importlib import resources

    from beacon_cli import tables
    from beacon_cli.evidence import patterns, shipped
    from beacon_cli.evidence.readings import Reader

    folder = resources.files("beacon_cli.evidence")
    source = folder.joinpath("patterns.toml").read_bytes()
    found, faults = shipped.read(folder.joinpath("patterns.json").read_bytes(), source), list[Fault]()
    if found is None:  # somebody has changed the one and not made the other
        import tomllib

        found, faults = patterns.parse(tomllib.loads(source.decode()), "patterns.toml", checked=True)
    for path in allowed.patterns:
        file = printable(str(path))
        try:
            table = tables.read(path, file)
        except FileNotFoundError:
            table = Fault(file=file, message="is not there; beacon.toml names it under `patterns`")
        if isinstance(table, Fault):
            faults.append(table)
            continue
        more, wrong = patterns.parse(table, file, known=[pattern.name for pattern in found])
        found, faults = found + more, faults + wrong
    if faults:
        raise SpecError(tuple(faults))
    return Reader(found)


def accuracy() -> Measured:
    """How often readings are right, as it was measured for this version on a labelled sample."""
    from importlib import resources

    from beacon_cli.evidence.accuracy import Measured

    shipped = resources.files("beacon_cli.evidence").joinpath("measured.json").read_bytes()
    return msgspec.json.decode(shipped, type=Measured)


def rates(allowed: Settings) -> Rates:
    """What a GPU costs: the shipped table, with what the configuration says in its place."""
    import tomllib
    from importlib import resources

    shipped = resources.files("beacon_cli").joinpath("rates.toml").read_text(encoding="utf-8")
    return merged(read(check(tomllib.loads(shipped))), allowed.rates)


@contextmanager
def emulated(
    target: ModalTarget | OpenaiTarget, cells: Iterable[tuple[Region, Model]], speed: float
) -> Iterator[Emulated]:
    """An emulator beside the run, for the body, of everything that these pairs will call.

    Gives where it listens and what it lets in.

    Raises:
        UsageError: the target calls what no emulated app has.
    """
    if isinstance(target, OpenaiTarget):
        from beacon_cli.emulator import endpoint

        with endpoint.running(endpoint.Endpoint(speed=speed)) as url:
            yield Emulated(url=url)
        return
    from beacon_cli.emulator import deployment, server
    from beacon_cli.emulator.provider import Settings as Workspace

    classes = [target.cls, *target.classes.values()]
    every = [target.function] if target.function else [f"{cls}.{target.method}" for cls in classes]
    called = next((each for each in every if each not in deployment.PLAYED), None)
    if called is not None:
        played = ", ".join(deployment.PLAYED)
        raise UsageError(
            f"a rehearsal plays {played}; this job calls {quoted(called)}: rehearse it with --executor simulated"
        )
    names = {str(fill(target.app, cell_values(region, model))): region.id for region, model in cells}
    with server.running(Workspace(speed=speed), apps=deployment.apps_for(names)) as address:
        yield Emulated(url=address.url, token=(address.token_id, address.token_secret))


def played(spec: Spec) -> float | None:
    """How many times faster than life Modal is played, where the environment leads to an emulator; else None.

    Raises:
        UsageError: it says how fast the emulator is, and leads elsewhere, or says no speed.
    """
    text, url = os.environ.get(_SPEED, ""), os.environ.get("MODAL_SERVER_URL", "")
    if not text or not isinstance(spec.target, ModalTarget):
        return None
    from urllib.parse import urlsplit

    if urlsplit(url).hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise UsageError(
            f"{_SPEED} is set, and MODAL_SERVER_URL leads to no emulator on this machine: unset the one, or export"
            " both as `beacon emulator` prints them"
        )
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0 < speed < inf:
        raise UsageError(f"{_SPEED} must be how many times faster than life the emulator is, not {quoted(text)}")
    return speed


_SPEED = "BEACON_EMULATOR_SPEED"


def executor(spec: Spec, *, emulator: Emulated | None) -> AbstractAsyncContextManager[Executor]:
    """The executor that the job's target names, against Modal itself or against an emulator."""
    match spec.target:
        case ModalTarget() as target:
            from beacon_cli.executors.modal import ModalExecutor

            return ModalExecutor(
                target,
                sampling=spec.sampling,
                limits=spec.limits,
                server_url=emulator.url if emulator else None,
                token=emulator.token if emulator else None,
                addresses={} if emulator else {region.id: region.health for region in spec.regions},
            )
        case OpenaiTarget() as target:
            return _at_endpoints(_emulated_target(target, spec, emulator) if emulator else target, spec)
        case SimulatedTarget():
            from beacon_cli.executors.simulated import SimulatedExecutor

            return SimulatedExecutor(spec.target, limits=spec.limits)


def endpoints(spec: Spec) -> AbstractAsyncContextManager[Endpoints] | None:
    """The endpoints of a job that has any, to be looked at."""
    return _at_endpoints(spec.target, spec) if isinstance(spec.target, OpenaiTarget) else None


@contextmanager
def _reading_no_authorities() -> Iterator[None]:
    """The HTTP library reads the system's certificates twice as it is imported: 0.1 s, mostly for nothing.

    Whom we speak with by TLS is verified by what `connections.trust` reads; the library's contexts trust nobody.
    """
    name, nothing = "SSL_CERT_FILE", os.devnull
    usual = os.environ.get(name)
    os.environ[name] = nothing
    try:
        yield
    finally:
        del os.environ[name]
        if usual is not None:
            os.environ[name] = usual


def _at_endpoints(target: OpenaiTarget, spec: Spec) -> OpenaiExecutor:
    with _reading_no_authorities():
        from beacon_cli.executors.openai import OpenaiExecutor

    return OpenaiExecutor(
        target, sampling=spec.sampling, limits=spec.limits, ignore=spec.ignore, environ=os.environ
    )


def deployer() -> AbstractAsyncContextManager[Deployer]:
    """What brings apps to Modal, with the account of this machine."""
    from beacon_cli.executors.modal import deploying

    return deploying.deployer()


async def version(app: str) -> Version | None:
    """Which version of an app is deployed, with the account of this machine; None where Modal does not say."""
    from beacon_cli.executors.modal import versions

    return await versions.version(app)


def store(allowed: Settings, *, rehearsal: bool) -> Store:
    """Where the queue is kept; rehearsals have one of their own.

    Raises:
        StoreError: it cannot be reached, or was written by a newer beacon.
    """
    if allowed.queue and not rehearsal:
        try:
            from beacon_cli.queues import redis
        except ModuleNotFoundError:
            raise UsageError("a queue in Redis needs its client: pip install 'beacon-cli[redis]'") from None
        return redis.store(allowed.queue)
    from beacon_cli.queues import sqlite

    # The emulator of a rehearsal ends with it, and its containers too.
    return sqlite.store(_queue_file(allowed, rehearsal=rehearsal), outlived=not rehearsal)


def store_if_any(allowed: Settings, *, rehearsal: bool) -> Store | None:
    """As `store`, and None where there is no queue yet: looking makes none.

    Raises:
        StoreError: it cannot be reached, or was written by a newer beacon.
    """
    in_file = rehearsal or not allowed.queue
    if in_file and not _is_there(_queue_file(allowed, rehearsal=rehearsal)):
        return None
    return store(allowed, rehearsal=rehearsal)


@contextmanager
def remote_status(url: str) -> Iterator[Callable[[], JsonObject]]:
    """What asks the server at `url` how its queue stands, for the body; see `queues.afar.Server.status`.

    Raises:
        UsageError: that is no address of a server.
    """
    from beacon_cli.queues import afar

    with afar.Server(url) as server:
        yield server.status


def _is_there(path: Path) -> bool:
    """Whether there is such a file; one that nobody lets us see is not just missing.

    Raises:
        StoreError: that cannot be known.
    """
    from beacon_cli.disk import explained

    with explained(path):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def _queue_file(allowed: Settings, *, rehearsal: bool) -> Path:
    return allowed.home / ("rehearsals.db" if rehearsal else "queue.db")


def caps(allowed: Settings) -> Caps:
    """What this configuration holds to be the workspace's caps."""
    return msgspec.convert(
        {"gpus_total": allowed.gpus_total, "gpus_per_region": allowed.gpus_per_region, **allowed.caps}, Caps
    )


def _emulated_target(target: OpenaiTarget, spec: Spec, emulator: Emulated) -> OpenaiTarget:
    """The target on this machine: no key leaves it, and none is needed."""
    addresses = {region.id: f"{emulator.url}/{region.id}/v1" for region in spec.regions}
    return msgspec.structs.replace(target, base_url=addresses, api_key_env=None, headers={})


def display(show: Show) -> AbstractAsyncContextManager[Display]:
    """What shows the run: live on a terminal, plain lines elsewhere, JSON lines on stdout, or nothing."""
    from beacon_cli.display import choice, paper

    console = paper.console(sys.stderr) if paper.may_be_terminal(sys.stderr) else None
    return choice.choose(sys.stdout, sys.stderr, console, json=show.json, quiet=not show.progress)
