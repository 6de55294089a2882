"""How many requests a second the benchmarks' server answers: is it ever the bottleneck?

python benchmarks/load.py [--requests 200000] [--at-once 200] [--clients 1]

The clients are raw sockets in processes of their own that send one ready-made request after another on each
connection, the next one when the answer to the last is there: a client library would measure itself. The server
answers at once. Beside the rate stands what its own CPU allows: the machine may be busy with other work.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
BODY = (
    b'{"model": "bench", "temperature": 0.1, "max_tokens": 500, "messages": [{"role": "system", "content":'
    b' "You are a helpful assistant."}, {"role": "user", "content": "What is the answer to question 12345?"}]}'
)
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"User-Agent: load\r\nAccept: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


class Client(asyncio.Protocol):
    """One connection: asks, waits for the whole answer, asks again."""

    def __init__(self, left: list[int], length: int, done: asyncio.Future[None]) -> None:
        self._left = left
        self._length = length
        self.done = done
        self._seen = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first question."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP has no other
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Count what came; ask on when the answer is whole."""
        self._seen += len(data)
        if self._seen >= self._length:
            self._seen -= self._length
            self._ask()

    def _ask(self) -> None:
        if self._left[0]:
            self._left[0] -= 1
            self._transport.write(REQUEST)
        elif not self.done.done():
            self._transport.close()
            self.done.set_result(None)


async def ask(port: int, requests: int, at_once: int, length: int) -> None:
    """Ask so often, on so many connections, for answers of `length` bytes, heads included."""
    loop = asyncio.get_running_loop()
    left = [requests]
    clients = [Client(left, length, loop.create_future()) for _ in range(at_once)]
    for client in clients:
        await loop.create_connection(partial(_same, client), "127.0.0.1", port)
    await asyncio.gather(*(client.done for client in clients))


def _same(client: Client) -> Client:
    return client


def answer_length(port: str) -> int:
    """How long one answer is."""
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.sendall(REQUEST)
        return len(connection.recv(65_536))


def cpu(pid: int) -> float:
    """CPU seconds that a process has used, as Linux counts them."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--length", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.port:
        asyncio.run(ask(options.port, options.requests, options.at_once, options.length))
        return
    command = [sys.executable, str(HERE / "server.py"), "--latency", "0"]
    each = [str(options.requests // options.clients), str(options.at_once // options.clients)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101 - it is a pipe
        port = server.stdout.readline().strip()
        length = str(answer_length(port))
        before, began = cpu(server.pid), time.perf_counter()
        asking = [
            sys.executable,
            __file__,
            "--port",
            port,
            "--requests",
            each[0],
            "--at-once",
            each[1],
            "--length",
            length,
        ]
        clients = [subprocess.Popen(asking) for _ in range(options.clients)]
        if any(client.wait() for client in clients):
            raise SystemExit("a client failed")
        wall, used = time.perf_counter() - began, cpu(server.pid) - before
        server.communicate()
    print(f"{options.requests:,} requests, {options.at_once} at once, load average {os.getloadavg()[0]:.1f}")
    print(f"in {wall:.1f} s: {options.requests / wall:,.0f} a second")
    print(f"server's CPU {used:.1f} s: {options.requests / used:,.0f} a second of its own CPU")


if __name__ == "__main__":
    main()
