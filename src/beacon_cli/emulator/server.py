"""Serves the emulated workspace on loopback: `running()` beside a run, `main()` as a command of its own.

Binds 127.0.0.1 and nothing else. A client that dies takes nothing with it: its calls run to their end.
"""

from __future__ import annotations

import asyncio
import secrets
import shlex
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from weakref import WeakSet

import msgspec
from grpclib.config import Configuration
from grpclib.protocol import H2Protocol
from grpclib.server import Server

from beacon_cli import circles
from beacon_cli.behaviour import script as scripts
from beacon_cli.emulator.beside import beside
from beacon_cli.emulator.deployment import APPS, App
from beacon_cli.emulator.ledger import Ledger
from beacon_cli.emulator.plane import ControlPlane
from beacon_cli.emulator.provider import CarryOut, Provider, Settings
from beacon_cli.emulator.wire import StatusDetails
from beacon_cli.errors import StartError, UsageError

HOST = "127.0.0.1"
SPEED = "BEACON_EMULATOR_SPEED"
"""The variable by which a run knows that it is a rehearsal, and how many times faster than life it is played."""
_WINDOW = 64 * 1024 * 1024
_TURNS = 5
"""Turns of the event loop in which a connection that is being taken, or closed, is taken or closed."""


class Address(msgspec.Struct, frozen=True):
    """Where the emulator listens, and what it lets in: a secret of its own each time, as pickles run code."""

    url: str
    token_id: str
    token_secret: str

    def environment(self) -> dict[str, str]:
        """The variables that send any Modal client to this emulator."""
        return {
            "MODAL_SERVER_URL": self.url,
            "MODAL_TOKEN_ID": self.token_id,
            "MODAL_TOKEN_SECRET": self.token_secret,
        }


class _Listening(Server):
    """A gRPC server that also closes the connections it has accepted: grpclib's own leaves them open."""

    def __init__(self, plane: ControlPlane) -> None:
        config = Configuration(http2_connection_window_size=_WINDOW, http2_stream_window_size=_WINDOW)
        super().__init__([plane], config=config, status_details_codec=StatusDetails())
        self._accepted: WeakSet[H2Protocol] = WeakSet()

    def _protocol_factory(self) -> H2Protocol:
        protocol = super()._protocol_factory()
        self._accepted.add(protocol)
        return protocol

    async def end(self, listener: socket.socket) -> None:
        """Stop listening, end what is being answered, and close every connection."""
        # asyncio trips over a connection that it has accepted when its server closes: let that come to rest first.
        with suppress(NotImplementedError):
            asyncio.get_running_loop().remove_reader(listener)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        self.close()
        for protocol in list(self._accepted):
            if hasattr(protocol, "connection"):
                protocol.connection.close()
        try:
            async with asyncio.timeout(1):
                await self.wait_closed()
        except TimeoutError:  # a client that reads nothing holds its connection's end up
            return
        finally:
            for _ in range(_TURNS):
                await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    settings: Settings,
    *,
    port: int = 0,
    ledger: Path | None = None,
    apps: tuple[App, ...] = APPS,
    carry_out: CarryOut | None = None,
) -> AsyncIterator[Address]:
    """Serve within the running event loop (asyncio) for as long as the body lasts; port 0 takes a free one.

    `carry_out`: see `Provider`.

    Raises:
        StartError: the port is taken, or the ledger cannot be written.
    """
    try:
        book = Ledger(ledger)
    except OSError as error:
        raise StartError(f"the ledger {ledger} cannot be written: {error.strerror}") from error
    # asyncio sends small answers at once (TCP_NODELAY) only where the protocol is said: else each waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        book.close()
        raise StartError(f"port {port} of {HOST} cannot be used: {error.strerror}; choose another") from error
    provider = Provider(settings, book, carry_out)
    token_id, token_secret = "ak-emulator", f"as-{secrets.token_hex(16)}"
    server = _Listening(ControlPlane(provider, apps, (token_id, token_secret)))
    try:
        await server.start(sock=listener)
        bound = listener.getsockname()[1]
        book.write("serving", asyncio.get_running_loop().time(), port=bound, apps=[app.name for app in apps])
        yield Address(f"http://{HOST}:{bound}", token_id, token_secret)
    finally:
        await server.end(listener)
        provider.close()
        book.close()


@contextmanager
def running(
    settings: Settings | None = None,
    *,
    port: int = 0,
    ledger: Path | None = None,
    apps: tuple[App, ...] = APPS,
    carry_out: CarryOut | None = None,
) -> Iterator[Address]:
    """Serve from a thread and event loop of its own, beside whatever the body does, until it ends.

    `carry_out`: see `Provider`.

    Raises:
        StartError: as `serving`.
    """
    served = serving(settings or Settings(), port=port, ledger=ledger, apps=apps, carry_out=carry_out)
    with beside(served, "beacon-emulator") as address:
        yield address


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
    """Serve until SIGINT or SIGTERM; `say` is given the exports that lead clients here and say how fast it is.

    Raises:
        UsageError: the script cannot be read or is not a script.
        StartError: as `serving`.
    """
    settings = Settings(seed=seed, speed=speed, gpus=gpus, script=_script(script))
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, told.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(told.set))
    async with serving(settings, port=port, ledger=ledger) as address:
        for name, value in address.environment().items():
            say(f"export {name}={shlex.quote(value)}")
        say(f"export {SPEED}={speed:g}")
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

    circles.look()
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
