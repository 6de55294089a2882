"""The socket, and uvicorn on it: the one place that knows how uvicorn is made to behave."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from beacon_cli.errors import StartError, UsageError
from beacon_cli.server.guard import Application

CONNECTIONS = 500
"""Connections at once; one more is told to come back later."""
HEAD = 10.0
"""Seconds in which the head of a request has to be there."""
_KEEP_ALIVE = 5
_LAST_ANSWERS = 10
"""Seconds that answers have when the server stops."""
_BACKLOG = 128


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one.

    Raises:
        UsageError: that is no address.
        StartError: the port is taken, or the address is not this machine's.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host.lower() == "localhost" else host)
    except ValueError:
        raise UsageError(
            f"--host: {host!a} is no IP address; to listen on all of this machine's: 0.0.0.0"
        ) from None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - as the standard says it
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        message = f"port {port} of {address} cannot be used: {error.strerror}; choose another with --port"
        raise StartError(message) from error
    return listener


class Server(uvicorn.Server):
    """Serves until it `should_exit`; leaves signals to whoever started it."""

    def __init__(self, application: Application) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=_Impatient,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",  # what a client does wrong is its own business
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_LAST_ANSWERS,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: see the class."""
        yield


class _Impatient(H11Protocol):
    """Closes a connection that has not said what it wants within `HEAD` seconds: uvicorn itself waits for ever."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience_over()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._is_idle() and self._late is None:
            self._late = self.loop.call_later(HEAD, self._close_if_idle)
        elif not self._is_idle():
            self._patience_over()

    def _patience_over(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _is_idle(self) -> bool:
        """Whether the connection waits for the head of a request."""
        return self.conn.their_state.__name__ == "IDLE"

    def _close_if_idle(self) -> None:
        self._late = None
        if self._is_idle():
            self.transport.close()
