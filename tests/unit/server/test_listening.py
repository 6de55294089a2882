"""The socket, and a client that does not say what it wants."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from beacon_cli.errors import StartError, UsageError
from beacon_cli.server import listening
from beacon_cli.server.guard import Message, Receive, Send

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def application(_scope: Message, _receive: Receive, send: Send) -> None:
    """Says that all is well."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def serving(scenario: Callable[[int], Awaitable[None]]) -> None:
    """Serve for as long as the scenario lasts, which is given the port."""

    async def whole() -> None:
        listener = listening.bound("127.0.0.1", 0)
        server = listening.Server(application)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            async with asyncio.timeout(10):
                await scenario(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await serving

    asyncio.run(whole())


@pytest.mark.parametrize(
    "begins", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n", REQUEST + b"GET /"]
)
def test_who_does_not_finish_a_head_is_hung_up_on(begins: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a request that was answered."""
    monkeypatch.setattr(listening, "HEAD", 0.2)

    async def scenario(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begins)
        answer = await reader.read()
        assert answer.endswith(b"ok" if begins.startswith(REQUEST) else b"")
        writer.close()

    serving(scenario)


def test_who_goes_on_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request after another on one connection, each head in time."""
    monkeypatch.setattr(listening, "HEAD", 0.5)

    async def scenario(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(REQUEST)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.2)
        writer.close()

    serving(scenario)


def test_an_address_is_numbers_or_localhost() -> None:
    """A name could lead anywhere tomorrow."""
    with listening.bound("localhost", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    with pytest.raises(UsageError, match="is no IP address"):
        listening.bound("beacon.example", 0)


def test_a_port_that_is_taken_is_named() -> None:
    """With the option that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartError, match="choose another"):
        listening.bound("127.0.0.1", taken.getsockname()[1])
