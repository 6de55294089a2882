"""A chat-completions endpoint that does nothing but wait: the other side of the benchmarks.

python benchmarks/server.py [--latency 0.05] [--port 0]     prints its port, then serves until its input ends

Every answer is the same and takes `latency` seconds. `GET /stats` gives how many requests there were and how many
were in flight at the peak, and starts the count anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

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

    def told(self) -> bytes:
        """The counts as JSON; they begin anew."""
        body = json.dumps({"requests": self.requests, "peak": self.peak}).encode()
        self.requests, self.peak = 0, self.in_flight
        return body


class Connection(asyncio.Protocol):
    """One client's connection: whole requests in, an answer to each after the latency."""

    def __init__(self, latency: float, counts: Counts) -> None:
        self._latency = latency
        self._counts = counts
        self._answer = response(ANSWER)
        self._buffer = b""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP has no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        while True:
            head, blank, rest = self._buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            _, _, after = head.lower().partition(b"\r\ncontent-length:")
            length = int(after.partition(b"\r\n")[0] or b"0")
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            if head.startswith(b"POST"):
                self._counts.requests += 1
                self._counts.in_flight += 1
                self._counts.peak = max(self._counts.peak, self._counts.in_flight)
                self._loop.call_later(self._latency, self._reply)
            else:
                is_stats = head.startswith(b"GET /stats")
                self._transport.write(response(self._counts.told() if is_stats else b'{"data": []}'))

    def _reply(self) -> None:
        self._counts.in_flight -= 1
        self._transport.write(self._answer)


async def serve(latency: float, port: int) -> None:
    """Serve until the standard input ends."""
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(latency, counts), "127.0.0.1", port, backlog=1024)
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
