"""`beacon serve` from its first line to its last: the lock, the token, the socket, the jobs, and the stop."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import anyio
import msgspec

from beacon_cli import circles, locks, signals, wiring
from beacon_cli.disk import DISK, explained
from beacon_cli.errors import UsageError
from beacon_cli.names import printable, quoted
from beacon_cli.operations import taking_turns
from beacon_cli.ports import Store
from beacon_cli.runs import Runs
from beacon_cli.server import guard, listening, routes, token_file
from beacon_cli.server.book import Book
from beacon_cli.server.children import Beacons
from beacon_cli.server.jobs import Jobs
from beacon_cli.server.places import Places
from beacon_cli.server.watch import Watch
from beacon_cli.settings import Settings


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What `beacon serve` was asked for. With `rehearsal_speed` every job is a rehearsal, so fast."""

    host: str = "127.0.0.1"
    port: int = 8585
    allowed: tuple[str, ...] = ()
    """Further names that the server goes by."""
    rehearsal_speed: float | None = None
    processes: int = 20


def serve(wish: Wish, *, show: Callable[[str], None], say: Callable[[str], None]) -> None:
    """Serve until a signal asks to stop.

    `show` is given the lines that say where the server is, `say` those about what goes wrong.

    Raises:
        BeaconError: the configuration is wrong, the port is taken, another server works in the same home, or a
            store failed.
    """
    circles.look()
    hosts = _hosts(wish)
    settings = wiring.settings()
    home = settings.home / "server"
    with ExitStack() as stack:
        _make(home)
        stack.enter_context(locks.lock(home / "lock", "the server's folder", DISK))
        book = Book(home / "jobs")
        for line in book.load():
            say(line)
        store = wiring.store(settings, rehearsal=wish.rehearsal_speed is not None)
        stack.callback(store.close)
        taking_turns.agreed(store, wiring.caps(settings))
        token, is_new = token_file.kept(settings.home / "server-token")
        listener = stack.enter_context(listening.bound(wish.host, wish.port))
        address, port = listener.getsockname()[:2]
        show(f"beacon serves http://{f'[{address}]' if ':' in address else address}:{port}")
        if wish.rehearsal_speed is not None:
            show("every job is a rehearsal: nothing is asked for real")
        if is_new:
            show(f"the token, shown this once and kept in {settings.home / 'server-token'}:  {token}")
        if not ipaddress.ip_address(address).is_loopback:
            say("whoever reaches this port can read the queue without the token, and nothing is encrypted: see")
            say("docs/server.md for what to put in front of it")
        rules = guard.Rules(hosts=hosts, token=token, guarded=routes.guarded)
        jobs = Jobs(
            book,
            Runs(settings.home),
            store,
            Beacons(wish.rehearsal_speed),
            queue_up=Places(store, settings).take,
            home=settings.home,
            processes=wish.processes,
            say=say,
        )
        server = listening.Server(_application(settings, jobs, store, rules, say))
        ended = anyio.run(partial(_serve, server, jobs, listener))
    if not ended:
        os._exit(0)  # the interpreter's own end would kill processes that are still ending their calls


def _application(
    settings: Settings, jobs: Jobs, store: Store, rules: guard.Rules, say: Callable[[str], None]
) -> guard.Application:
    face = routes.Face(settings, Watch(store), jobs, Runs(settings.home), say)
    return guard.Guard(routes.application(face), rules)


async def _serve(server: listening.Server, jobs: Jobs, listener: socket.socket) -> bool:
    """Serve and carry jobs out until a signal; whether every process has ended by then."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def heard(number: signal.Signals) -> None:
        if told.is_set():
            os._exit(128 + number)  # the second time somebody cannot wait; processes end by themselves
        loop.call_soon_threadsafe(told.set)

    with signals.caught(heard):
        async with anyio.create_task_group() as serving:
            serving.start_soon(server.serve, [listener])
            async with anyio.create_task_group() as work:
                jobs.start(work)
                await told.wait()
                server.should_exit = True
                return await jobs.stop()
    raise AssertionError  # a task group swallows nothing but what `stop` cancels


def _hosts(wish: Wish) -> frozenset[str]:
    """The names that the server goes by: this machine's for itself, and those that were allowed."""
    named = [guard.host_name(name) for name in wish.allowed]
    for given, name in zip(wish.allowed, named, strict=True):
        if not name or not name.isprintable() or "/" in name:
            raise UsageError(
                f"--allow-host: {quoted(given)} is no host's name; write it without http:// or a path"
            )
    loopback = wish.host.lower() in guard.LOOPBACK or wish.host.startswith("127.")
    if not loopback and not named:
        raise UsageError(
            f"--host {printable(wish.host)} lets other machines in: --allow-host says under which name they ask"
        )
    return guard.LOOPBACK | frozenset(named)


def _make(folder: Path) -> None:
    """Make a folder of the server's, for its owner alone."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        _make(folder.parent)
    with explained(folder):
        DISK.mkdir(folder)
