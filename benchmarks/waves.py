"""The user's job at an endpoint: 3 regions, 8 questions, 3 models, answers of 30 to 50 ms, over its lower bound.

    python benchmarks/waves.py [--rounds 9]

The bound is what the server's own times allow: in each region, question by question, the slowest model; the
slowest region counts. Measured is from a region's first request to its last answer, by the run's journal, in whole
runs of the installed `beacon`. *Cold* is all questions, the first over connections that are not there yet; *open*
is all but the first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from beacon_cli import events as ev
from beacon_cli.replay import read

REGIONS = ("us", "eu", "asia")
MODELS = ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b")
QUESTIONS = 8
LEAST, MOST = 0.03, 0.05
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


ANSWER = {"choices": [{"message": {"role": "assistant", "content": "An answer. " * 20}, "finish_reason": "stop"}]}


class Took(NamedTuple):
    """How long a region took from its question `first` on, and the least that it could have."""

    wall: float
    bound: float


def response(said: object) -> bytes:
    """A whole answer with this body."""
    body = json.dumps(said).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One client's connection, which asks one thing after another; what answers took is added to `times`."""

    def __init__(self, times: list[tuple[str, str, str, float]]) -> None:
        self._times = times
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP has no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is whole."""
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        told = _LENGTH.search(head)
        if not blank or len(body) < (int(told[1]) if told else 0):
            return
        self._buffer = b""
        path = head.split()[1].decode()
        if head.startswith(b"GET"):
            self._transport.write(response(self._times if path == "/times" else {"data": []}))
            if path == "/times":
                self._times.clear()
            return
        began, asked = time.perf_counter(), json.loads(body)
        told_of = (path.split("/")[1], asked["messages"][-1]["content"], asked["model"])
        loop = asyncio.get_running_loop()
        loop.call_later(random.uniform(LEAST, MOST), self._answer, told_of, began)  # noqa: S311 - no secret

    def _answer(self, told_of: tuple[str, str, str], began: float) -> None:
        self._transport.write(response(ANSWER))
        self._times.append((*told_of, time.perf_counter() - began))


async def serve() -> None:
    """Answer until the standard input ends; `GET /times` gives how long each answer took, and forgets them."""
    times: list[tuple[str, str, str, float]] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(times), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


@contextmanager
def serving() -> Iterator[str]:
    """The server, in a process of its own."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        yield f"http://127.0.0.1:{int(line)}"
        process.communicate()


def job(url: str) -> str:
    """The user's job, in JSON, which is YAML too."""
    return json.dumps(
        {
            "id": "waves",
            "regions": REGIONS,
            "models": MODELS,
            "questions": [{"id": f"q{n}", "text": f"Question {n}?"} for n in range(QUESTIONS)],
            "executor": {"openai": {"base_url": {region: f"{url}/{region}/v1" for region in REGIONS}}},
        }
    )


def measured(journal: Path, times: list[tuple[str, str, str, float]], first: int) -> Took:
    """The slowest region's time from this question on, over the slowest region's bound."""
    slowest: dict[tuple[str, str], float] = defaultdict(float)
    for region, question, _, seconds in times:
        slowest[region, question] = max(slowest[region, question], seconds)
    began: dict[str, float] = {}
    ended: dict[str, float] = {}
    regions: dict[str, str] = {}
    for event in read(journal):
        if isinstance(event, ev.AttemptStarted):
            regions[event.execution] = event.region
            if event.question == f"q{first}":
                began.setdefault(event.region, event.at)
        elif isinstance(event, ev.AttemptSucceeded):
            ended[regions[event.execution]] = event.at
    counted = range(first, QUESTIONS)
    bounds = [sum(slowest[region, f"Question {n}?"] for n in counted) for region in REGIONS]
    return Took(max(ended[region] - began[region] for region in REGIONS), max(bounds))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
        return
    found: dict[str, list[Took]] = {"cold": [], "open": []}
    with serving() as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.yaml").write_text(job(url), encoding="utf-8")
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment = {**kept, "BEACON_HOME": str(folder / "state")}
        for number in range(given.rounds + 1):
            command = ["run", str(folder / "job.yaml"), "--run-id", f"r{number}", "--quiet"]
            subprocess.run(
                [sys.executable, "-m", "beacon_cli", *command],
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            with urllib.request.urlopen(f"{url}/times") as answer:  # noqa: S310 - our own server
                times = json.load(answer)
            if number:  # the first run fills the caches
                journal = folder / "state" / "runs" / f"r{number}" / "events.jsonl"
                for kind, first in (("cold", 0), ("open", 1)):
                    found[kind].append(measured(journal, times, first))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {given.rounds} runs")
    for kind, goal in (("open", 1.08), ("cold", 1.20)):
        ratios = sorted(each.wall / each.bound for each in found[kind])
        wall = statistics.median(each.wall for each in found[kind])
        print(
            f"{kind}: {wall:.3f} s, {statistics.median(ratios):.3f} of its bound"
            f" ({ratios[0]:.3f} to {ratios[-1]:.3f}); goal {goal}"
        )


if __name__ == "__main__":
    main()
