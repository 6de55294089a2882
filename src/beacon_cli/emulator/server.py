"""Serves the emulated workspace on loopback: `running()` beside a run, `main()` as a command of its own.

Binds 127.0.0.1 and nothing else. A client that dies takes nothing with it: its calls run to their end.
"""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
from grpclib.config import Configuration
from grpclib.server import Server

from beacon_cli.behaviour import script as scripts
from beacon_cli.emulator.deployment import APPS, App
from beacon_cli.emulator.ledger import Ledger
from beacon_cli.emulator.plane import ControlPlane, StatusDetails
from beacon_cli.emulator.provider import Provider, Settings
from beacon_cli.errors import StartError, UsageError

HOST = "127.0.0.1"
TOKEN_ID = "ak-emulator"  # noqa: S105 - opens nothing but the emulator
TOKEN_SECRET = "as-emulator"  # noqa: S105 - the same
_WINDOW = 64 * 1024 * 1024


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the emulator listens, and what it lets in."""

    url: str
    token_id: str = TOKEN_ID
    token_secret: str = TOKEN_SECRET

    def environment(self) -> dict[str, str]:
        """The variables that send any Modal client to this emulator."""
        return {
            "MODAL_SERVER_URL": self.url,
            "MODAL_TOKEN_ID": self.token_id,
            "MODAL_TOKEN_SECRET": self.token_secret,
        }


@asynccontextmanager
async def serving(
    settings: Settings, *, port: int = 0, ledger: Path | None = None, apps: tuple[App, ...] = APPS
) -> AsyncIterator[Address]:
    """Serve within the running event loop (asyncio) for as long as the body lasts; port 0 takes a free one.

    Raises:
        StartError: the port is taken, or the ledger cannot be written.
    """
    try:
        book = Ledger(ledger)
    except OSError as error:
        raise StartError(f"the ledger {ledger} cannot be written: {error.strerror}") from error
    provider = Provider(settings, book)
    config = Configuration(http2_connection_window_size=_WINDOW, http2_stream_window_size=_WINDOW)
    plane = ControlPlane(provider, apps, (TOKEN_ID, TOKEN_SECRET))
    server = Server([plane], config=config, status_details_codec=StatusDetails())
    try:
        await server.start(HOST, port)
    except OSError as error:
        book.close()
        raise StartError(f"port {port} of {HOST} cannot be used: {error.strerror}; choose another") from error
    try:
        bound = server._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # noqa: SLF001 - no other way to a free port's number
        book.write("serving", asyncio.get_running_loop().time(), port=bound, apps=[app.name for app in apps])
        yield Address(url=f"http://{HOST}:{bound}")
    finally:
        server.close()
        await server.wait_closed()
        provider.close()
        book.close()


@contextmanager
def running(
    settings: Settings | None = None,
    *,
    port: int = 0,
    ledger: Path | None = None,
    apps: tuple[App, ...] = APPS,
) -> Iterator[Address]:
    """Serve from a thread and event loop of its own, beside whatever the body does, until it ends.

    Raises:
        StartError: as `serving`.
    """
    started = threading.Event()
    box: list[Address | BaseException] = []
    stop: list[Callable[[], object]] = []

    async def serve_until_told() -> None:
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with serving(settings or Settings(), port=port, ledger=ledger, apps=apps) as address:
            stop.append(lambda: loop.call_soon_threadsafe(told.set))
            box.append(address)
            started.set()
            await told.wait()

    def work() -> None:
        try:
            asyncio.run(serve_until_told())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            box.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=work, name="beacon-emulator", daemon=True)
    thread.start()
    started.wait()
    if isinstance(box[0], BaseException):
        raise box[0]
    try:
        yield box[0]
    finally:
        for tell in stop:
            tell()
        thread.join()
    if isinstance(box[-1], BaseException):
        raise box[-1]


async def serve(
    *,
    port: int = 0,
    speed: float = 1.0,
    seed: int = 0,
    gpus: int = 10,
    ledger: Path | None = None,
    script: Path | None = None,
    say: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM; `say` is given the three shell exports that lead clients here.

    Raises:
        UsageError: the script cannot be read or is not a script.
        StartError: as `serving`.
    """
    settings = Settings(seed=seed, speed=speed, gpus=gpus, script=_script(script))
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    async with serving(settings, port=port, ledger=ledger) as address:
        for name, value in address.environment().items():
            say(f"export {name}={shlex.quote(value)}")
        await told.wait()


def main(
    *,
    port: int = 0,
    speed: float = 1.0,
    seed: int = 0,
    gpus: int = 10,
    ledger: Path | None = None,
    script: Path | None = None,
) -> None:
    """What `beacon emulator` does: serve, print the exports, end on SIGINT or SIGTERM.

    Raises:
        UsageError: the script cannot be read or is not a script.
        StartError: the port is taken, or the ledger cannot be written.
    """

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    asyncio.run(serve(port=port, speed=speed, seed=seed, gpus=gpus, ledger=ledger, script=script, say=say))


def _script(path: Path | None) -> scripts.Script:
    if path is None:
        return scripts.Script()
    try:
        return scripts.load(path.read_bytes())
    except OSError as error:
        raise UsageError(f"the script {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not a script of failures: {error}") from error
