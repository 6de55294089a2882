"""Writes the events of one run to disk as they happen, and says so once they are there.

One JSON object a line, append-only. A thread of its own takes what has gathered, writes it, makes it durable with
one sync, and wakes those who wait: the event loop itself never waits for the disk. Knows events and how a line is
written; reads nothing back (`replay` does) and knows nothing of run folders.
"""

from __future__ import annotations

import os
from asyncio import Future
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeAlias

import anyio
from anyio.lowlevel import checkpoint, current_token

from beacon_cli.disk import DISK, Disk, explained, store_error, sync_folder, write_all
from beacon_cli.errors import StoreError
from beacon_cli.events import Event, to_line
from beacon_cli.replay import Recovered


@asynccontextmanager
async def create(path: Path, disk: Disk = DISK) -> AsyncIterator[FileJournal]:
    """A new journal at `path`, whose folder exists; open for the body.

    Raises:
        StoreError: there is a file of that name, or none can be made there.
    """
    descriptor = _new_file(path, disk)
    async with _writing(path, descriptor, 0, disk) as journal:
        yield journal


@asynccontextmanager
async def reopen(path: Path, recovered: Recovered, disk: Disk = DISK) -> AsyncIterator[FileJournal]:
    """The journal that `replay.recover` has read, open for more; its torn tail is cut off first.

    Raises:
        StoreError: it cannot be written, or is no longer as it was read.
    """
    descriptor = _mended_file(path, recovered, disk)
    async with _writing(path, descriptor, recovered.whole, disk) as journal:
        yield journal


def _new_file(path: Path, disk: Disk) -> int:
    with explained(path):
        descriptor = disk.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        try:
            sync_folder(disk, path.parent)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
    return descriptor


def _mended_file(path: Path, recovered: Recovered, disk: Disk) -> int:
    with explained(path):
        descriptor = disk.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            _cut(path, descriptor, recovered, disk)
        except (OSError, StoreError):
            os.close(descriptor)
            raise
    return descriptor


def _cut(path: Path, descriptor: int, recovered: Recovered, disk: Disk) -> None:
    if os.fstat(descriptor).st_size != recovered.whole + recovered.torn:
        raise StoreError(f"{path}: another process has written to it just now; wait until that one has ended")
    if recovered.torn:
        disk.truncate(descriptor, recovered.whole)
        disk.fsync(descriptor)


@asynccontextmanager
async def _writing(path: Path, descriptor: int, size: int, disk: Disk) -> AsyncIterator[FileJournal]:
    journal = FileJournal()
    writer = _Writer(path, descriptor, size, disk)
    thread = Thread(
        target=writer.run,
        args=(journal.queue, journal.settle, _call_soon()),
        name=f"writer of {path.name}",
        daemon=True,  # an exit that unwinds nothing must not wait for it: what has been said is on disk
    )
    thread.start()
    try:
        yield journal
    finally:
        try:
            await journal.end()
        finally:
            thread.join()
            os.close(descriptor)


class FileJournal:
    """The `Journal` port over a file that this process alone writes; `create` and `reopen` make it.

    The queue needs no bound of its own: whoever puts an entry in waits for it, so it never holds more than one
    for each task of the run.
    """

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Entry] = SimpleQueue()
        """What the writer is to write."""
        loop: Any = current_token().native_token
        # asyncio wakes tasks in the order in which their events were set; trio in any.
        self._wakes_in_order = hasattr(loop, "create_future")
        # The library looks for the event loop's own class each time: for each event that is a tenth of its cost.
        self._turn: Callable[[], _Bell | anyio.Event]
        self._turn = partial(_Bell, loop.create_future) if self._wakes_in_order else type(anyio.Event())
        self._scope = type(anyio.CancelScope())
        self._settled: deque[_Entry] = deque()
        self._ended = False

    async def append(self, event: Event) -> None:
        """See `ports.Journal`."""
        if self._ended:
            raise RuntimeError("an event came after the end of its journal")
        await self._pass(_Entry(to_line(event), self._turn()))

    async def end(self) -> None:
        """Return once the writer has written what it was given and has ended. The owner calls it, once."""
        self._ended = True
        with suppress(StoreError):  # the append that failed has said so
            await self._pass(_Entry(b"", self._turn()))

    def settle(self, group: list[_Entry]) -> None:
        """These entries are on disk or have failed. Called on the event loop, in the order of the queue."""
        if self._wakes_in_order:
            for entry in group:
                entry.turn.set()
            return
        nobody_is_going = not self._settled
        self._settled.extend(group)
        if nobody_is_going:
            self._settled[0].turn.set()

    async def _pass(self, entry: _Entry) -> None:
        self.queue.put(entry)
        await self._wait(entry.turn)
        if not self._wakes_in_order:
            # This entry is the head of the settled ones: its task goes on and lets the next follow. Nothing is
            # raised before, as only asyncio has a cancellation that knows no shield.
            self._settled.popleft()
            if self._settled:
                self._settled[0].turn.set()
        if entry.failure is not None:
            raise StoreError(entry.failure)

    async def _wait(self, turn: _Bell | anyio.Event) -> None:
        """Wait to the end, whoever cancels. asyncio's own `Task.cancel` knows no shield: it is passed on after."""
        cancelled: BaseException | None = None
        with self._scope(shield=True):
            while not turn.is_set():
                try:
                    await turn.wait()
                except anyio.get_cancelled_exc_class() as error:
                    cancelled = error
        if cancelled is not None:
            raise cancelled


class MemoryJournal:
    """The `Journal` port over a list, for virtual time: nothing leaves the event loop.

    It fails for good at the append with the number `fails_at`, counted from 1.
    """

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.events: list[Event] = []
        self._fails_at = fails_at
        self._turn = anyio.Lock(fast_acquire=True)

    async def append(self, event: Event) -> None:
        """See `ports.Journal`."""
        if self._fails_at is not None and len(self.events) + 1 >= self._fails_at:
            raise StoreError("the memory journal was told to fail")
        self.events.append(event)
        with anyio.CancelScope(shield=True):
            async with self._turn:
                await checkpoint()


class _Bell:
    """What `anyio.Event` is to one task that waits, on asyncio alone, for a quarter less of an append's CPU."""

    __slots__ = ("_future", "_is_set", "_make")

    def __init__(self, make: Callable[[], Future[None]]) -> None:
        self._make = make
        self._future = make()
        self._is_set = False

    def set(self) -> None:
        """Wake the task."""
        self._is_set = True
        if not self._future.done():
            self._future.set_result(None)

    def is_set(self) -> bool:
        """Whether it was woken."""
        return self._is_set

    async def wait(self) -> None:
        """Wait until it is. Who was cancelled may wait again."""
        if self._future.cancelled() and not self._is_set:
            self._future = self._make()
        await self._future


class _Entry:
    """A line on its way to the disk, and the task that waits for it. One without a line ends the writer."""

    __slots__ = ("failure", "line", "turn")

    def __init__(self, line: bytes, turn: _Bell | anyio.Event) -> None:
        self.line = line
        self.turn = turn
        self.failure: str | None = None


class _Writer:
    """Puts entries on disk, a group at a time, in a thread of its own. After a failure it writes nothing more."""

    def __init__(self, path: Path, descriptor: int, size: int, disk: Disk) -> None:
        self._path = path
        self._descriptor = descriptor
        self._size = size
        self._disk = disk
        self._failure: str | None = None

    def run(
        self,
        queue: SimpleQueue[_Entry],
        settle: Callable[[list[_Entry]], None],
        call_soon: CallSoon,
    ) -> None:
        """Work until an entry without a line has come."""
        ended = False
        while not ended:
            group = [queue.get()]
            while not queue.empty():
                group.append(queue.get())
            ended = not group[-1].line
            try:
                self._commit(b"".join(entry.line for entry in group))
            except Exception as error:  # noqa: BLE001 - no memory, a fault of our own: nobody may wait for ever
                self._failure = f"{self._path}: its writer failed ({type(error).__name__}: {error})"
            for entry in group:
                entry.failure = self._failure
            try:
                call_soon(settle, group)
            except RuntimeError:
                return  # the event loop is gone, and with it everyone who could wait

    def _commit(self, lines: bytes) -> None:
        if self._failure is not None or not lines:
            return
        try:
            write_all(self._disk, self._descriptor, lines)
            self._disk.fsync(self._descriptor)
        except OSError as error:
            self._failure = str(store_error(self._path, error))
            self._cut_torn(lines)
        else:
            self._size += len(lines)

    def _cut_torn(self, lines: bytes) -> None:
        """Keep the whole records of a write that failed: a call id on disk is a call that can be found again."""
        with suppress(OSError):
            written = os.fstat(self._descriptor).st_size - self._size
            whole = lines.rfind(b"\n", 0, written) + 1
            if whole < written:
                self._disk.truncate(self._descriptor, self._size + whole)


CallSoon: TypeAlias = Callable[..., object]
"""Has the event loop call a function with its arguments: from any thread, in the order of the calls."""


def _call_soon() -> CallSoon:
    loop: Any = current_token().native_token
    call_soon: CallSoon = (
        loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon
    )
    return call_soon
