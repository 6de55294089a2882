"""An HTTP server on loopback that says exactly what a test tells it to, byte for byte, in the test's own loop."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

Reply: TypeAlias = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


class Asked:
    """A request as it came."""

    def __init__(self, head: str, reader: asyncio.StreamReader) -> None:
        self.head = head
        lines = head.split("\r\n")
        self.method, self.path, _ = lines[0].split(" ")
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        self.body = b""
        self._reader = reader

    async def gone(self) -> None:
        """Wait until whoever asked has closed the connection."""
        with suppress(ConnectionError):
            await self._reader.read(1)

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Server:
    """Answers each POST by `reply`, and each GET with no models. Remembers what was asked and how many at once."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.models: Reply = plain(200, b'{"data": []}')
        self.asked: list[Asked] = []
        self.in_flight = 0
        self.peak = 0
        self.connections: list[object] = []
        self.url = ""
        self.port = 0
        self._busy: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        self.connections.append(writer.get_extra_info("peername"))
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._one(reader, writer)
        finally:
            self._busy.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip()
        asked = Asked(head, reader)
        asked.body = await reader.readexactly(int(asked.headers.get("content-length", "0")))
        if asked.method == "GET":
            await self.models(asked, writer)
            return
        self.asked.append(asked)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await self.reply(asked, writer)
        finally:
            self.in_flight -= 1

    async def end(self) -> None:
        """Drop every connection."""
        for task in list(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)


@asynccontextmanager
async def serving(reply: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server for the body, over TLS where it has a context."""
    server = Server(reply)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{server.port}/v1"
    try:
        yield server
    finally:
        listening.close()
        await server.end()


def plain(status: int, body: bytes, kind: str = "application/json", **headers: str) -> Reply:
    """One whole answer."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Because\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"

    async def reply(asked: Asked, writer: asyncio.StreamWriter) -> None:
        del asked
        writer.write(head.encode() + body)
        await writer.drain()

    return reply


def answer(text: Any = "Four.", *, finish: str = "stop", **more: Any) -> Reply:
    """A completion in OpenAI's form."""
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return plain(200, json.dumps({"object": "chat.completion", "choices": choices, **more}).encode())


def raw(*chunks: bytes, pause: float = 0.0, reset: bool = False) -> Reply:
    """These bytes one after another; then the connection is closed, or torn down with `reset`."""

    async def reply(asked: Asked, writer: asyncio.StreamWriter) -> None:
        del asked
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)
        if reset:
            writer.transport.abort()
        writer.close()

    return reply


async def hang(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    del writer
    await asked.gone()


def in_turn(*replies: Reply) -> Reply:
    """The first request gets the first of these, and so on; the last one for all that follow."""
    left = list(replies)

    async def reply(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(asked, writer)

    return reply
