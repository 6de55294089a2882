"""A server's jobs whose processes end when the test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
from tests.support.jobs import spec

from beacon_cli.disk import DISK, Disk
from beacon_cli.queues import memory
from beacon_cli.runs import Runs
from beacon_cli.server.book import Book, Entry
from beacon_cli.server.children import Child, Ending
from beacon_cli.server.jobs import Jobs
from beacon_cli.tickets import Priority

FILE = b"id: posted\n"


class Played:
    """A process that ends when the test says so."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.stopped = 0
        self._ending = anyio.Event()
        self._how = Ending(0)

    async def ended(self) -> Ending:
        """See `Child.ended`."""
        await self._ending.wait()
        return self._how

    def stop(self) -> None:
        """See `Child.stop`."""
        self.stopped += 1
        self.end(143)

    def end(self, code: int, *said: str) -> None:
        """End it."""
        self._how = Ending(code, said)
        self._ending.set()


class Player:
    """Starts played processes; a run that began has a folder."""

    def __init__(self, runs: Runs) -> None:
        self.started: list[Played] = []
        self.expected = Priority.NORMAL
        self.priorities: list[Priority] = []
        self._runs = runs
        self._news = anyio.Event()

    async def begin(self, run_id: str, job: Path, priority: Priority) -> Child:
        """See `Launcher.begin`."""
        assert await anyio.Path(job).read_bytes() == FILE
        self.priorities.append(priority)
        return self._start(f"begin {run_id}")

    async def resume(self, run_id: str, priority: Priority) -> Child:
        """See `Launcher.resume`."""
        self.priorities.append(priority)
        return self._start(f"resume {run_id}")

    async def process(self, number: int) -> Played:
        """The process with this number, once it is there."""
        while len(self.started) <= number:
            await self._news.wait()
        return self.started[number]

    def _start(self, what: str) -> Played:
        played = Played(what)
        self.started.append(played)
        self._news.set()
        self._news = anyio.Event()
        return played


class Rig(msgspec.Struct):
    """A server's jobs, and all that they touch."""

    jobs: Jobs
    player: Player
    runs: Runs
    said: list[str]
    places: list[str]
    """The runs that have taken their places in the queue, in order."""
    home: Path

    def stage(self, run_id: str) -> str:
        """How far a job has come, on disk."""
        path = self.home / "server" / "jobs" / f"{run_id}.json"
        return msgspec.json.decode(path.read_bytes(), type=Entry).stage.value

    async def take(self) -> str:
        """Take a job in; gives its run id."""
        return (await self.jobs.take(spec(), FILE)).run_id


@asynccontextmanager
async def going(home: Path, *, processes: int = 20, disk: Disk = DISK, **store: Any) -> AsyncIterator[Rig]:
    """A server's jobs for the body; stopped after it."""
    runs = Runs(home)
    (home / "server").mkdir(parents=True, exist_ok=True)
    book = Book(home / "server" / "jobs", disk)
    said = book.load()
    player = Player(runs)
    places: list[str] = []

    def queued(run_id: str, job: Path, priority: Priority) -> None:
        assert priority is player.expected
        assert job.read_bytes() == FILE
        places.append(run_id)

    kept = store.get("store") or memory.store()
    jobs = Jobs(book, runs, kept, player, queue_up=queued, home=home, processes=processes, say=said.append)
    async with anyio.create_task_group() as group:
        jobs.start(group)
        yield Rig(jobs, player, runs, said, places, home)
        with anyio.fail_after(5):
            assert await jobs.stop()
