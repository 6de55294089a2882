"""A chat-completions endpoint that does nothing but wait: the other side of the benchmarks.

python benchmarks/server.py [--latency 0.05] [--port 0]     prints its port, then serves until its input ends

Every answer is the same and takes `latency` seconds. `GET /stats` gives how many requests there were and how many
were in flight at the peak, and starts the count anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections import deque

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "bench",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "An answer. " * 20}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 60, "total_tokens": 80},
    }
).encode()


def response(body: bytes) -> bytes:
    """A whole answer."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Counts:
    """What the server has seen since it was asked last."""

    def __init__(self) -> None:
        self.requests = self.in_flight = self.peak = 0

    def began(self) -> None:
        """One more is in flight."""
        self.requests += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)

    def told(self) -> bytes:
        """The counts as JSON; they begin anew."""
        body = json.dumps({"requests": self.requests, "peak": self.peak}).encode()
        self.requests, self.peak = 0, self.in_flight
        return body


class Delay:
    """Every answer comes out as late as it came in: one queue and one timer for all of them."""

    def __init__(self, latency: float, counts: Counts) -> None:
        self._latency = latency
        self._counts = counts
        self._answer = response(ANSWER)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, asyncio.Transport]] = deque()

    def answer(self, transport: asyncio.Transport) -> None:
        """Answer there after the latency."""
        self._counts.began()
        self._waiting.append((self._loop.time() + self._latency, transport))
        if len(self._waiting) == 1:
            self._sleep()

    def _sleep(self) -> None:
        self._loop.call_at(self._waiting[0][0], self._due)

    def _due(self) -> None:
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            _, transport = self._waiting.popleft()
            self._counts.in_flight -= 1
            transport.write(self._answer)
        if self._waiting:
            self._sleep()


class Connection(asyncio.Protocol):
    """One client's connection: whole requests in, an answer to each after the latency."""

    def __init__(self, delay: Delay, counts: Counts) -> None:
        self._delay = delay
        self._counts = counts
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP has no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer = self._buffer + data if self._buffer else data
        while self._buffer:
            head, blank, rest = self._buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            told = _LENGTH.search(head)
            length = int(told[1]) if told else 0
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            if head.startswith(b"POST"):
                self._delay.answer(self._transport)
            else:
                is_stats = head.startswith(b"GET /stats")
                self._transport.write(response(self._counts.told() if is_stats else b'{"data": []}'))


async def serve(latency: float, port: int) -> None:
    """Serve until the standard input ends."""
    counts = Counts()
    loop = asyncio.get_running_loop()
    delay = Delay(latency, counts)
    server = await loop.create_server(lambda: Connection(delay, counts), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(serve(options.latency, options.port))


if __name__ == "__main__":
    main()
