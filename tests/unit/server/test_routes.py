"""What the routes answer when something behind them fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import anyio
import httpx
import msgspec
import pytest

from beacon_cli.errors import StoreError
from beacon_cli.queues import memory
from beacon_cli.runs import Runs
from beacon_cli.server import routes
from beacon_cli.server.book import Entry, Stage
from beacon_cli.server.watch import Watch
from beacon_cli.settings import Settings

pytestmark = pytest.mark.anyio
ENTRY = Entry(run_id="run-1", job_id="posted", at=1.0)
JOB = {"id": "posted", "regions": ["us"], "models": ["m"], "questions": [{"id": "q", "text": "Why?"}]}


class Kept:
    """Jobs that are taken in and never carried out."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.stopping = anyio.Event()

    async def take(self, *_: Any) -> Entry:
        """Take one in."""
        self.entries[ENTRY.run_id] = ENTRY
        return ENTRY

    async def cancel(self, run_id: str) -> Entry:
        """End one."""
        self.entries[run_id] = msgspec.structs.replace(ENTRY, stage=Stage.CANCELLED)
        return self.entries[run_id]

    async def summary(self, _: str) -> None:
        """No run has a folder."""

    async def ended(self, _: str) -> None:
        """None ever does."""
        await anyio.sleep_forever()

    def get(self, run_id: str) -> Entry | None:
        """One of them."""
        return self.entries.get(run_id)

    def ahead(self, _: Entry) -> int:
        """None."""
        return 0


async def test_a_queue_that_is_away_takes_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was taken in, or ended, is told so: whoever is told that it failed posts it, and pays, again."""
    store = memory.store()

    def away(_: int | None = None) -> NoReturn:
        raise StoreError("queue redis://queue.test:6379/0 cannot be reached")

    monkeypatch.setattr(store, "snapshot", away)
    jobs: Any = Kept()
    said: list[str] = []
    face = routes.Face(Settings(home=tmp_path), Watch(store), jobs, Runs(tmp_path), said.append)
    transport = httpx.ASGITransport(routes.application(face))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        posted = await client.post("/jobs", json=JOB)
        assert (posted.status_code, posted.headers["location"]) == (202, "/jobs/run-1")
        question = {"model": "m", "prompt": "Why?", "region": "us"}
        asked = await client.post("/inference?wait=0", json=question)
        assert (asked.status_code, asked.json()["state"]) == (202, "accepted")
        assert (await client.get("/jobs/run-1")).status_code == 503
        ended = await client.delete("/jobs/run-1")
        assert (ended.status_code, ended.json()["state"]) == (202, "cancelled")
    assert set(said) == {"queue redis://queue.test:6379/0 cannot be reached"}
