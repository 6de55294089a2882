"""Jobs that are taken back, at whatever point of their way, and runs that others carry out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.support.jobrig import FILE, going
from tests.support.queueing import request

from beacon_cli import locks
from beacon_cli.disk import DISK
from beacon_cli.queues import memory
from beacon_cli.runs import RunState, Summary

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_pause")]
BEGUN = Summary(run_id="a", state=RunState.INTERRUPTED, started_at=0.0, job="posted")


@pytest.fixture
def anyio_backend() -> str:
    """What uvicorn runs on."""
    return "asyncio"


async def test_a_job_that_has_no_process_yet_is_cancelled_at_once(tmp_path: Path) -> None:
    """None is ever started for it."""
    async with going(tmp_path, processes=1) as rig:
        first, second = await rig.take(), await rig.take()
        await rig.player.process(0)
        assert await rig.jobs.cancel(second)
        with anyio.fail_after(5):
            await rig.jobs.ended(second)
        assert await rig.jobs.cancel(second) is None
        (await rig.player.process(0)).end(0)
        await rig.jobs.ended(first)
        await anyio.sleep(0.02)
        assert len(rig.player.started) == 1
    assert rig.stage(second) == "cancelled"


async def test_a_job_without_a_ticket_is_cancelled_by_a_signal(tmp_path: Path) -> None:
    """What asks an endpoint is in no queue."""
    async with going(tmp_path) as rig:
        run_id = await rig.take()
        process = await rig.player.process(0)
        assert await rig.jobs.cancel(run_id)
        with anyio.fail_after(5):
            await rig.jobs.ended(run_id)
        assert (process.stopped, rig.stage(run_id)) == (1, "cancelled")


async def test_a_job_is_cancelled_while_its_process_is_being_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is none yet that could be asked to end; it is, once it is there."""
    async with going(tmp_path) as rig:
        begin: Callable[..., Any] = rig.player.begin
        starting, go_on = anyio.Event(), anyio.Event()

        async def slow(*given: Any) -> Any:
            starting.set()
            await go_on.wait()
            return await begin(*given)

        monkeypatch.setattr(rig.player, "begin", slow)
        run_id = await rig.take()
        await starting.wait()
        assert await rig.jobs.cancel(run_id)
        go_on.set()
        with anyio.move_on_after(5):
            process = await rig.player.process(0)
            while not process.stopped:  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.01)
        assert (process.stopped, rig.stage(run_id)) == (1, "cancelled")


async def test_a_job_with_a_ticket_is_cancelled_through_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that its run can say who ended it; no signal comes while it does."""
    store = memory.store()
    async with going(tmp_path, store=store) as rig:
        run_id = await rig.take()
        process = await rig.player.process(0)
        store.enter(request(run_id, "eu"))
        monkeypatch.setattr(rig.jobs, "_summary", lambda _: BEGUN)
        assert await rig.jobs.cancel(run_id)
        while "eu" in store.snapshot().regions:  # noqa: ASYNC110 - a store tells nobody
            await anyio.sleep(0.01)
        process.end(130)
        await rig.jobs.ended(run_id)
        assert (process.stopped, rig.stage(run_id)) == (0, "cancelled")


async def test_a_run_that_another_process_writes_is_watched(tmp_path: Path) -> None:
    """It is not begun a second time: an earlier server's process goes on with it."""
    async with going(tmp_path, processes=1) as rig:
        run_id = await rig.take()
        await rig.player.process(0)
    folder = rig.runs.create(run_id, FILE)
    with locks.lock(folder.path / "lock", "run", DISK):
        async with going(tmp_path) as rig:
            await anyio.sleep(0.05)
            assert rig.player.started == []


async def test_a_run_that_an_earlier_servers_process_carries_out_is_cancelled_too(tmp_path: Path) -> None:
    """One that is in no queue is told by a signal, though it is no child of this server."""
    async with going(tmp_path) as rig:
        run_id = await rig.take()
        await rig.player.process(0)
    folder = rig.runs.create(run_id, FILE)
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom beacon_cli import disk, locks\n"
        "with locks.lock(Path(sys.argv[1]), 'run', disk.DISK):\n    sys.stdout.write('locked')\n"
        "    sys.stdout.flush()\n    time.sleep(9)"
    )
    command = [sys.executable, "-c", code, str(folder.path / "lock")]
    async with await anyio.open_process(command) as process:
        assert process.stdout is not None
        assert await process.stdout.receive() == b"locked"
        async with going(tmp_path) as rig:
            assert await rig.jobs.cancel(run_id)
            with anyio.fail_after(10):
                assert await process.wait() == -signal.SIGTERM
    assert rig.stage(run_id) == "cancelled"


async def test_a_process_that_an_earlier_server_had_just_started_comes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new server's own finds the run there, and fails; the job does not: the other carries it out."""
    async with going(tmp_path) as rig:
        run_id = await rig.take()
        process = await rig.player.process(0)
        assert process.what == f"begin {run_id}"
        ended = Summary(run_id=run_id, state=RunState.FINISHED, started_at=0.0, job="posted")
        monkeypatch.setattr(rig.jobs, "_summary", lambda _: ended)
        process.end(2, f"there is a run '{run_id}' already; choose another --run-id")
        with anyio.fail_after(5):
            await rig.jobs.ended(run_id)
    assert (rig.stage(run_id), len(rig.player.started)) == ("finished", 1)
