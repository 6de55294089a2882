"""An endpoint that fails at one request in ten, in nine ways, as a process of its own.

Run as a module it prints its address, serves until its input ends, and prints what it saw: how many requests it
had in flight at most, and how often each question was asked.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter

from tests.support.endpoint import Asked, Reply, answer, hang, plain, raw, serving

HALF = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"choices"'
FAULTS: tuple[Reply, ...] = (
    plain(429, b'{"error": {"message": "slow down"}}'),
    plain(429, b'{"error": {"message": "slow down"}}', retry_after="0.01"),
    plain(500, b"oops", "text/plain"),
    plain(503, b'{"detail": "loading"}', retry_after="0"),
    plain(200, b'{"choices": [{"mess'),
    plain(200, b'{"error": {"message": "out of memory"}}'),
    raw(HALF, reset=True),
    raw(reset=True),
    hang,
)


def unsteady(seed: int) -> Reply:
    """Answers after a millisecond, and one time in ten as badly as it can."""
    rng = random.Random(seed)  # noqa: S311 - which faults come does not matter

    async def reply(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.001)
        text = asked.json["messages"][-1]["content"]
        fault = rng.choice(FAULTS) if rng.random() < 0.1 else None
        await (fault or answer(f"answer to {text}"))(asked, writer)

    return reply


async def _serve() -> None:
    async with serving(unsteady(7)) as server:
        _say(server.url)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        questions = Counter(each.json["messages"][-1]["content"] for each in server.asked)
    _say(json.dumps({"peak": server.peak, "questions": questions}))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve())
