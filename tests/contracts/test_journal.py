"""The contract of `ports.Journal`, held against every adapter, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

import anyio
import anyio.lowlevel
import pytest
from tests.support.faulty import FaultyDisk
from tests.support.journals import PLAN, start, whole

from beacon_cli import journal as journals
from beacon_cli.errors import StoreError
from beacon_cli.events import Event, RegionFinished
from beacon_cli.ports import Journal
from beacon_cli.replay import read

Kept: TypeAlias = Callable[[], list[Event]]


class Adapter(Protocol):
    """Opens a journal in a folder. One that `fails` takes the start of the run and nothing after it."""

    def __call__(self, folder: Path, *, fails: bool = False) -> AbstractAsyncContextManager[tuple[Journal, Kept]]:
        """The journal, and what is in it."""


_CALLS_UNTIL_STARTED = 5  # open, then open and sync of the folder, then write and sync of the first event


@asynccontextmanager
async def file_journal(folder: Path, *, fails: bool = False) -> AsyncIterator[tuple[Journal, Kept]]:
    """The adapter over a file."""
    disk = FaultyDisk(_CALLS_UNTIL_STARTED + 1 if fails else None)
    path = folder / "events.jsonl"
    async with journals.create(path, disk) as journal:
        yield journal, lambda: list(read(path))


@asynccontextmanager
async def memory_journal(folder: Path, *, fails: bool = False) -> AsyncIterator[tuple[Journal, Kept]]:
    """The adapter for virtual time."""
    del folder
    journal = journals.MemoryJournal(fails_at=2 if fails else None)
    yield journal, lambda: list(journal.events)


@pytest.fixture(params=[file_journal, memory_journal])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """Each adapter in turn."""
    opened: Adapter = request.param
    return opened


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each event loop in turn."""
    return str(request.param)


def event(number: int) -> Event:
    """Events that can be told apart."""
    return RegionFinished(at=float(number), region=f"r{number}")


def carry_out(backend: str, main: Callable[[], Awaitable[None]]) -> None:
    """Run on an event loop, no longer than ten seconds."""

    async def bounded() -> None:
        with anyio.fail_after(10):
            await main()

    anyio.run(bounded, backend=backend)


def test_an_append_returns_once_the_event_is_kept(adapter: Adapter, backend: str, tmp_path: Path) -> None:
    """Whoever reads the journal after an append has returned finds the event there, last."""

    async def main() -> None:
        async with adapter(tmp_path) as (journal, kept):
            for one in (start(), *whole(next(PLAN.executions()))):
                await journal.append(one)
                assert kept()[-1] == one

    carry_out(backend, main)


def test_calls_records_and_returns_have_one_order(adapter: Adapter, backend: str, tmp_path: Path) -> None:
    """Of many tasks that append at once, the records stand and the tasks go on in the order of their calls."""
    called: list[Event] = []
    returned: list[Event] = []

    async def task(journal: Journal, first: int) -> None:
        for number in range(first, first + 20):
            called.append(event(number))
            await journal.append(called[-1])
            returned.append(event(number))

    async def main() -> None:
        async with adapter(tmp_path) as (journal, kept):
            await journal.append(start())
            async with anyio.create_task_group() as group:
                for first in range(0, 400, 20):
                    group.start_soon(task, journal, first)
            assert len(called) == 400
            assert kept()[1:] == called
            assert returned == called

    carry_out(backend, main)


def test_cancelled_before_the_append(adapter: Adapter, backend: str, tmp_path: Path) -> None:
    """An append in a scope that is cancelled already keeps its event and returns; the cancellation comes after."""
    passed: list[str] = []

    async def main() -> None:
        async with adapter(tmp_path) as (journal, kept):
            await journal.append(start())
            with anyio.CancelScope() as scope:
                scope.cancel()
                await journal.append(event(1))
                passed.append("append")
                await anyio.lowlevel.checkpoint()
                passed.append("sleep")
            assert kept()[1:] == [event(1)]

    carry_out(backend, main)
    assert passed == ["append"]


def test_cancelled_while_it_waits(adapter: Adapter, backend: str, tmp_path: Path) -> None:
    """Of tasks that are cancelled while they append, every event is kept, in order, and later appends go on."""
    called: list[Event] = []

    async def task(journal: Journal, number: int, all_called: anyio.Event) -> None:
        called.append(event(number))
        if len(called) == 10:
            all_called.set()
        await journal.append(called[-1])

    async def main() -> None:
        async with adapter(tmp_path) as (journal, kept):
            await journal.append(start())
            all_called = anyio.Event()
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(task, journal, number, all_called)
                await all_called.wait()
                group.cancel_scope.cancel()
            await task(journal, 10, all_called)
            assert kept()[1:] == called

    carry_out(backend, main)


def test_a_cancellation_that_knows_no_shield(adapter: Adapter, tmp_path: Path) -> None:
    """`asyncio.Task.cancel` ends no append before its event is kept; the task is cancelled all the same."""

    async def main() -> None:
        async with adapter(tmp_path) as (journal, kept):
            await journal.append(start())
            tasks = [asyncio.create_task(_append(journal, number)) for number in range(5)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert [isinstance(end, asyncio.CancelledError) for end in ends] == [True, False, True, False, True]
            await journal.append(event(5))
            assert kept()[1:] == [event(number) for number in range(6)]

    carry_out("asyncio", main)


async def _append(journal: Journal, number: int) -> None:
    await journal.append(event(number))


def test_after_a_failure_nothing_is_written(adapter: Adapter, backend: str, tmp_path: Path) -> None:
    """The append that cannot be kept says so, every later one too, and what was kept before stays readable."""

    async def main() -> None:
        async with adapter(tmp_path, fails=True) as (journal, kept):
            await journal.append(start())
            for number in range(3):
                with pytest.raises(StoreError) as caught:
                    await journal.append(event(number))
                assert "\n" not in str(caught.value)
            assert kept() == [start()]

    carry_out(backend, main)


def test_all_who_wait_hear_of_a_failure(adapter: Adapter, backend: str, tmp_path: Path) -> None:
    """Tasks that append together when the store fails all get the error; none waits for ever."""
    failed: list[int] = []

    async def task(journal: Journal, number: int) -> None:
        with pytest.raises(StoreError):
            await journal.append(event(number))
        failed.append(number)

    async def main() -> None:
        async with adapter(tmp_path, fails=True) as (journal, _):
            await journal.append(start())
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(task, journal, number)

    carry_out(backend, main)
    assert sorted(failed) == list(range(10))
