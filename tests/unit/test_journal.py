from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import anyio
import pytest
from tests.support.faulty import FaultyDisk
from tests.support.journals import PLAN, start, whole, write

from beacon_cli import journal as journals
from beacon_cli.errors import StoreError
from beacon_cli.events import Event, RegionFinished, to_line
from beacon_cli.replay import Recovered, read, recover

_CALLS_UNTIL_STARTED = 5  # open, then open and sync of the folder, then write and sync of the first event
EVENTS = [start(), *(event for execution in list(PLAN.executions())[:3] for event in whole(execution))]


def event(number: int) -> Event:
    """Events that can be told apart."""
    return RegionFinished(at=float(number), region=f"r{number}")


def append_all(path: Path, events: list[Event], disk: FaultyDisk | None = None) -> list[Event]:
    """Append one after another to a new journal until one fails; those whose append returned."""
    kept: list[Event] = []

    async def main() -> None:
        async with journals.create(path, disk or FaultyDisk()) as journal:
            for one in events:
                await journal.append(one)
                kept.append(one)

    anyio.run(main)
    return kept


def reopen_and_append(path: Path, recovered: Recovered, *events: Event, disk: FaultyDisk | None = None) -> None:
    """Append to a journal that a crash has left."""

    async def main() -> None:
        async with journals.reopen(path, recovered, disk or FaultyDisk()) as journal:
            for one in events:
                await journal.append(one)

    anyio.run(main)


def test_the_file_is_the_lines(tmp_path: Path) -> None:
    """A journal on disk is the events' lines and nothing else."""
    append_all(tmp_path / "events.jsonl", EVENTS)
    assert (tmp_path / "events.jsonl").read_bytes() == b"".join(map(to_line, EVENTS))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_the_file_is_private(tmp_path: Path, umask: int) -> None:
    """A journal is readable and writable for its owner and nobody else, whatever the umask."""
    before = os.umask(umask)
    try:
        append_all(tmp_path / "events.jsonl", EVENTS[:1])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "events.jsonl").stat().st_mode) == 0o600


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """A new journal never takes the place of a file."""
    path = write(tmp_path / "events.jsonl", EVENTS)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="file exists"):
        append_all(path, EVENTS)
    assert path.read_bytes() == before


def test_the_event_loop_never_waits_for_the_disk(tmp_path: Path) -> None:
    """Once the journal is open, no write and no sync happens in the event loop's thread."""
    disk = FaultyDisk()

    async def main() -> None:
        async with journals.create(tmp_path / "events.jsonl", disk) as journal:
            disk.threads.clear()
            for one in EVENTS:
                await journal.append(one)

    anyio.run(main)
    assert disk.calls[-2:] == ["write", "fsync"]
    assert disk.threads
    assert threading.get_ident() not in disk.threads


def test_events_that_come_together_share_a_sync(tmp_path: Path) -> None:
    """A hundred appends at once need a few syncs, not a hundred."""
    disk = FaultyDisk()

    async def main() -> None:
        async with journals.create(tmp_path / "events.jsonl", disk) as journal:
            await journal.append(start())
            disk.calls.clear()
            async with anyio.create_task_group() as group:
                for number in range(100):
                    group.start_soon(journal.append, event(number))

    anyio.run(main)
    assert 1 <= disk.calls.count("fsync") < 50
    assert len(list(read(tmp_path / "events.jsonl"))) == 101


def test_short_writes(tmp_path: Path) -> None:
    """A disk that takes seven bytes at a time gets all of them, in order."""
    append_all(tmp_path / "events.jsonl", EVENTS, FaultyDisk(at_most=7))
    assert list(read(tmp_path / "events.jsonl")) == EVENTS


def test_the_writer_ends_with_its_owner(tmp_path: Path) -> None:
    """After the journal is closed its thread is gone, and an append is refused instead of waiting for ever."""

    async def main() -> None:
        async with journals.create(tmp_path / "events.jsonl") as journal:
            await journal.append(start())
            assert any(thread.name.startswith("writer of") for thread in threading.enumerate())
        assert not any(thread.name.startswith("writer of") for thread in threading.enumerate())
        with pytest.raises(RuntimeError, match="after the end"):
            await journal.append(event(1))

    anyio.run(main)


def test_closed_while_cancelled(tmp_path: Path) -> None:
    """A run that is cancelled still closes its journal: what was given is there, the thread is gone."""

    async def main() -> None:
        with anyio.CancelScope() as scope:
            async with journals.create(tmp_path / "events.jsonl") as journal:
                await journal.append(start())
                scope.cancel()
                await journal.append(event(1))
                await anyio.sleep(1)

    anyio.run(main)
    assert list(read(tmp_path / "events.jsonl")) == [start(), event(1)]
    assert not any(thread.name.startswith("writer of") for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "BEACON_HOME"),
        (errno.EIO, "another one"),
        (errno.EDQUOT, "quota"),
    ],
)
def test_the_error_says_what_to_do(tmp_path: Path, code: int, remedy: str) -> None:
    """A failure names the file, what is wrong in the system's words, and what helps, in one line."""
    path = tmp_path / "events.jsonl"
    with pytest.raises(StoreError) as caught:
        append_all(path, EVENTS, FaultyDisk(6, code=code))
    message = str(caught.value)
    assert message.startswith(f"{path}: {os.strerror(code).lower()}")
    assert remedy in message
    assert "\n" not in message


@pytest.mark.parametrize("for_good", [False, True])
def test_a_failure_at_every_call(tmp_path: Path, *, for_good: bool) -> None:
    """Whichever call fails: what was said to be kept is kept, and the run can go on in a file that can be read."""
    for number in count(1):
        path = tmp_path / f"{number}.jsonl"
        disk = FaultyDisk(number, for_good=for_good)
        kept: list[Event] = []

        async def main(path: Path = path, disk: FaultyDisk = disk, kept: list[Event] = kept) -> None:
            async with journals.create(path, disk) as journal:
                for one in EVENTS:
                    await journal.append(one)
                    kept.append(one)

        if not _fails(main):
            assert not disk.has_failed
            assert kept == EVENTS
            break
        if not path.exists():
            assert not kept
            continue
        recovered = recover(path)
        there = list(read(path))
        assert there[: len(kept)] == kept
        assert there == EVENTS[: len(there)]
        assert recovered.torn == 0 or for_good, "a half-written record was not cut off"
        reopen_and_append(path, recovered, *EVENTS[len(there) :])
        assert list(read(path)) == EVENTS


def _fails(main: Callable[[], Awaitable[None]]) -> bool:
    try:
        anyio.run(main)
    except StoreError:
        return True
    return False


class GatedDisk(FaultyDisk):
    """Its syncs wait at a gate, once that is closed; the write after that fails half way."""

    def __init__(self) -> None:
        super().__init__(_CALLS_UNTIL_STARTED + 3)
        self.reached = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def fsync(self, descriptor: int) -> None:
        """See `Disk`."""
        super().fsync(descriptor)
        if not self.gate.is_set():
            self.reached.set()
            self.gate.wait()


def test_a_failure_keeps_the_whole_records_of_its_group(tmp_path: Path) -> None:
    """Of a group that was half written, the whole records stay: a call whose id is on disk can be found again."""
    path = tmp_path / "events.jsonl"
    disk = GatedDisk()

    async def refused(journal: journals.FileJournal, number: int) -> None:
        with pytest.raises(StoreError):
            await journal.append(event(number))

    async def main() -> None:
        async with journals.create(path, disk) as journal, anyio.create_task_group() as group:
            await journal.append(start())
            disk.gate.clear()
            group.start_soon(journal.append, event(0))
            await anyio.to_thread.run_sync(disk.reached.wait)
            for number in range(1, 51):
                group.start_soon(refused, journal, number)
            await anyio.wait_all_tasks_blocked()
            disk.gate.set()

    anyio.run(main)
    half = b"".join(to_line(event(number)) for number in range(1, 51))
    kept = half[: len(half) // 2].count(b"\n")
    assert path.read_bytes() == b"".join(map(to_line, [start(), *map(event, range(kept + 1))]))
    assert kept > 20


def test_the_torn_tail_is_cut_off(tmp_path: Path) -> None:
    """Reopened after a crash at any byte of the last three records, a journal goes on after the last whole one."""
    lines = [to_line(one) for one in EVENTS]
    whole_file = b"".join(lines)
    for cut in range(len(whole_file) - sum(map(len, lines[-3:])), len(whole_file) + 1):
        path = tmp_path / "events.jsonl"
        path.write_bytes(whole_file[:cut])
        left = [one for end, one in zip(_ends(lines), EVENTS, strict=True) if end <= cut]
        recovered = recover(path)
        assert recovered.whole == sum(map(len, lines[: len(left)]))
        assert recovered.torn == cut - recovered.whole
        reopen_and_append(path, recovered, *EVENTS[len(left) :])
        assert path.read_bytes() == whole_file


def _ends(lines: list[bytes]) -> list[int]:
    return [sum(map(len, lines[: number + 1])) for number in range(len(lines))]


def test_mending_that_fails(tmp_path: Path) -> None:
    """Whichever call fails while the torn tail is cut off, nothing whole is lost and the next try succeeds."""
    whole_file = b"".join(map(to_line, EVENTS))
    for number in count(1):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(whole_file[:-5])
        disk = FaultyDisk(number)
        try:
            reopen_and_append(path, recover(path), EVENTS[-1], disk=disk)
        except StoreError:
            assert disk.has_failed
            recovered = recover(path)
            missing = EVENTS[len(list(read(path))) :]
            reopen_and_append(path, recovered, *missing)
        assert path.read_bytes() == whole_file
        if not disk.has_failed:
            return


def test_a_journal_that_grew_since_it_was_read(tmp_path: Path) -> None:
    """A journal that somebody has written to since it was read is not touched."""
    path = write(tmp_path / "events.jsonl", EVENTS)
    recovered = recover(path)
    with path.open("ab") as file:
        file.write(to_line(event(1)))
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another process"):
        reopen_and_append(path, recovered, event(2))
    assert path.read_bytes() == before
