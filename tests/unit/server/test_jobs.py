"""What the server does with the jobs that it took in, with processes that the tests play."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from tests.support.jobrig import FILE, Rig, going
from tests.support.jobs import spec

from beacon_cli.errors import StoreError
from beacon_cli.server import jobs as server_jobs
from beacon_cli.server.book import Entry, Stage
from beacon_cli.server.children import Child
from beacon_cli.server.jobs import FullError
from beacon_cli.tickets import Priority

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_pause")]


@pytest.fixture
def anyio_backend() -> str:
    """What uvicorn runs on."""
    return "asyncio"


async def test_a_job_is_carried_out_and_ends(tmp_path: Path) -> None:
    """It is on disk before its process starts, and whoever waits is told of its end."""
    async with going(tmp_path) as rig:
        run_id = await rig.take()
        process = await rig.player.process(0)
        assert (process.what, rig.stage(run_id)) == (f"begin {run_id}", "started")
        process.end(0)
        with anyio.fail_after(5):
            await rig.jobs.ended(run_id)
            await rig.jobs.ended(run_id)
        assert rig.stage(run_id) == "finished"


@pytest.mark.parametrize(
    ("code", "said", "stage", "reason"),
    [
        (3, (), "finished", ""),
        (5, ("app X is not deployed",), "failed", "app X is not deployed"),
        (2, ("it is wrong",), "failed", "it is wrong"),
        (5, ("HOME/queue.db is another's",), "failed", "$BEACON_HOME/queue.db is another's"),
        (1, ("KeyError: '/x'",), "failed", "see the server's own log"),
        (4, ("/home/me/x: disk full",), "failed", "see the server's own log"),
        (5, (), "failed", "see the server's own log"),
        (130, (), "interrupted", "it was stopped; beacon resume goes on with it"),
        (143, (), "interrupted", "it was stopped; beacon resume goes on with it"),
    ],
)
async def test_an_exit_code_says_what_became_of_it(
    tmp_path: Path, code: int, said: tuple[str, ...], stage: str, reason: str
) -> None:
    """What concerns the server's own disk is said to its keeper alone."""
    said = tuple(line.replace("HOME/", f"{tmp_path}/") for line in said)
    async with going(tmp_path) as rig:
        run_id = await rig.take()
        (await rig.player.process(0)).end(code, *said)
        await rig.jobs.ended(run_id)
        entry = rig.jobs.get(run_id)
        assert entry is not None
        assert (entry.stage.value, entry.reason, entry.lost) == (stage, reason, 0)
        assert all(any(line in told for told in rig.said) for line in said)
        assert len(rig.player.started) == 1


async def test_a_process_that_dies_is_followed_by_another_until_three_are_lost(tmp_path: Path) -> None:
    """Then the job is set aside with its reason, and does not loop."""
    async with going(tmp_path) as rig:
        run_id = await rig.take()
        for number in range(3):
            (await rig.player.process(number)).end(-9)
        await rig.jobs.ended(run_id)
        entry = rig.jobs.get(run_id)
        assert entry is not None
        assert entry.stage is Stage.SET_ASIDE
        assert entry.reason == "3 processes that carried it out died without a word"
        assert len(rig.player.started) == 3
        other = await rig.take()
        (await rig.player.process(3)).end(0)
        await rig.jobs.ended(other)
    async with going(tmp_path) as rig:
        await anyio.sleep(0.05)
        assert rig.player.started == []


async def test_a_jobs_priority_stays_with_it(tmp_path: Path) -> None:
    """Every process of a job has the priority that it was posted with, after a restart of the server too."""
    async with going(tmp_path) as rig:
        rig.player.expected = Priority.HIGH
        entry = await rig.jobs.take(spec(), FILE, Priority.HIGH)
        (await rig.player.process(0)).end(-9)
        await rig.player.process(1)
        assert rig.player.priorities == [Priority.HIGH] * 2
        kept = next((tmp_path / "server" / "jobs").glob("*.json")).read_bytes()
        assert msgspec.json.decode(kept, type=Entry).priority is entry.priority is Priority.HIGH
        old = msgspec.json.encode({"run_id": "a", "job_id": "b", "at": 1.0})
        assert msgspec.json.decode(old, type=Entry).priority is Priority.NORMAL


async def test_a_server_that_dies_with_its_processes_counts_them(tmp_path: Path) -> None:
    """A job that takes the whole machine down does so three times and no more."""
    run_id = ""
    for _ in range(3):
        rig_of_the_dead: list[Rig] = []
        with anyio.CancelScope() as power:
            async with going(tmp_path) as rig:
                rig_of_the_dead.append(rig)
                run_id = run_id or await rig.take()
                await rig.player.process(0)
                power.cancel()
                await anyio.sleep_forever()
        assert rig_of_the_dead[0].stage(run_id) == "started"
    async with going(tmp_path) as rig:
        await rig.jobs.ended(run_id)
        assert rig.stage(run_id) == "set aside"
        assert rig.player.started == []


async def test_a_server_that_stops_asks_its_processes_to_and_goes_on_at_the_next_start(tmp_path: Path) -> None:
    """An orderly stop is no loss, however often it comes."""
    async with going(tmp_path, processes=1) as rig:
        first, second = await rig.take(), await rig.take()
        await rig.player.process(0)
    for _ in range(4):
        assert (rig.stage(first), rig.stage(second)) == ("accepted", "accepted")
        async with going(tmp_path, processes=1) as rig:
            process = await rig.player.process(0)
            assert process.what == f"begin {first}"
        assert process.stopped == 1
    with pytest.raises(FullError):
        await rig.take()


async def test_a_process_that_was_stopped_may_leave_without_a_word(tmp_path: Path) -> None:
    """Asked to end before its run began, it says nothing by design: the server's log has no fault of it."""
    async with going(tmp_path) as rig:
        await rig.take()
        (await rig.player.process(0)).end(143)
    assert rig.said == []


async def test_jobs_beyond_the_processes_wait_in_order(tmp_path: Path) -> None:
    """First come, first served; each knows how many are before it."""
    async with going(tmp_path, processes=1) as rig:
        ids = [await rig.take() for _ in range(3)]
        await rig.player.process(0)
        entries = [rig.jobs.get(run_id) for run_id in ids]
        assert [rig.jobs.ahead(entry) for entry in entries if entry] == [0, 0, 1]
        assert rig.places == ids[:1]
        for number, run_id in enumerate(ids):
            process = await rig.player.process(number)
            assert process.what == f"begin {run_id}"
            process.end(0)
            await rig.jobs.ended(run_id)
        assert rig.places == ids


async def test_a_queue_that_is_away_for_a_moment_fails_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked again, said once, and jobs keep their places; one that stays away does fail them."""
    monkeypatch.setattr(server_jobs, "_PAUSE", 0.01)
    async with going(tmp_path) as rig:
        take, tries = rig.jobs._queue_up, [0]

        def away(*given: Any) -> None:
            tries[0] += 1
            if tries[0] < 4:
                raise StoreError("queue redis://127.0.0.1:6379/0 cannot be reached")
            take(*given)

        monkeypatch.setattr(rig.jobs, "_queue_up", away)
        ids = [await rig.take(), await rig.take()]
        await rig.player.process(1)  # both begin at once: which of them first is not said
        begun = {process.what: process for process in rig.player.started}
        for run_id in ids:
            begun[f"begin {run_id}"].end(0)
            await rig.jobs.ended(run_id)
        assert (rig.places, [rig.stage(run_id) for run_id in ids]) == (ids, ["finished"] * 2)
        assert [line for line in rig.said if "cannot be reached" in line] == rig.said[:1]
        tries[0] = -1_000_000
        monkeypatch.setattr(server_jobs, "PATIENCE", 0.05)
        lost = await rig.take()
        await rig.jobs.ended(lost)
        assert rig.stage(lost) == "failed"


async def test_a_run_that_never_began_is_begun_anew(tmp_path: Path) -> None:
    """Its folder, in which nothing is, makes room."""
    async with going(tmp_path, processes=1) as rig:
        run_id = await rig.take()
        await rig.player.process(0)
    rig.runs.create(run_id, FILE)
    async with going(tmp_path) as rig:
        assert (await rig.player.process(0)).what == f"begin {run_id}"
    assert not (tmp_path / "runs" / run_id).exists()


async def test_a_full_server_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes on is bounded; what has ended makes room."""
    monkeypatch.setattr(server_jobs, "MOST", 1)
    async with going(tmp_path) as rig:
        run_id = await rig.take()
        with pytest.raises(FullError):
            await rig.take()
        (await rig.player.process(0)).end(0)
        await rig.jobs.ended(run_id)
        assert await rig.take()


async def test_a_launch_that_fails_fails_its_job_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong, the server goes on."""
    async with going(tmp_path) as rig:
        begin: Callable[..., Any] = rig.player.begin

        async def broken(*_: Any) -> Child:
            raise OSError("no process can be made")

        monkeypatch.setattr(rig.player, "begin", broken)
        run_id = await rig.take()
        await rig.jobs.ended(run_id)
        assert rig.stage(run_id) == "failed"
        monkeypatch.setattr(rig.player, "begin", begin)
        other = await rig.take()
        (await rig.player.process(0)).end(0)
        await rig.jobs.ended(other)
        assert rig.stage(other) == "finished"
