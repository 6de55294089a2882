"""The server's own memory: which jobs it took in and how far each has come, on disk, so that a restart goes on.

A job's file stays beside its entry, as its run is resumed from it. What came of the run is in the run's folder and
is not said again here.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from beacon_cli.disk import DISK, Disk, explained, write_file
from beacon_cli.errors import StoreError, UsageError
from beacon_cli.priming import prime
from beacon_cli.runs import check_run_id
from beacon_cli.tickets import Priority

KEPT = 1_000
"""Jobs that have ended and are remembered; of older ones the run folder alone is left."""


class Stage(StrEnum):
    """How far the server has come with a job."""

    ACCEPTED = "accepted"
    """It is on disk, and no process carries it out."""
    STARTED = "started"
    """A process has been started that carries it out."""
    FINISHED = "finished"
    """Its run came to its end; whether every execution was answered its results say."""
    FAILED = "failed"
    """It could not be carried out."""
    INTERRUPTED = "interrupted"
    """Somebody stopped its run, which can be resumed."""
    CANCELLED = "cancelled"
    SET_ASIDE = "set aside"
    """Too many processes that carried it out died without a word."""


OPEN = frozenset({Stage.ACCEPTED, Stage.STARTED})
"""The stages from which a job goes on."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One job. `lost` counts the processes that were started for it and of which no orderly end is known."""

    run_id: str
    job_id: str
    at: float
    """When it was taken in, in seconds since the epoch."""
    stage: Stage = Stage.ACCEPTED
    lost: int = 0
    reason: str = ""
    """Why it failed, or is set aside."""
    priority: Priority = Priority.NORMAL
    """How urgent it is in the queue."""

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.stage in OPEN


prime(Entry)


class Book:
    """All entries, the oldest first. Blocks the thread that writes."""

    def __init__(self, folder: Path, disk: Disk = DISK) -> None:
        self._folder = folder
        self._disk = disk
        self._entries: dict[str, Entry] = {}

    def load(self) -> list[str]:
        """Read what is on disk; gives a line about each entry that cannot be read, and is passed over.

        Raises:
            StoreError: the folder cannot be made or read.
        """
        with explained(self._folder):
            if not self._folder.is_dir():
                self._disk.mkdir(self._folder)
            paths = sorted(self._folder.glob("*.json"))
        complaints, found = [], []
        for path in paths:
            try:
                entry = msgspec.json.decode(path.read_bytes(), type=Entry)
                if f"{check_run_id(entry.run_id)}.json" != path.name:
                    raise ValueError("it is another job's")  # noqa: TRY301 - as good as one that cannot be read
                found.append(entry)
            except (OSError, ValueError, UsageError) as error:
                complaints.append(f"the job in {path} is left out: {error}")
        self._entries = {entry.run_id: entry for entry in sorted(found, key=lambda each: each.at)}
        return complaints

    def __iter__(self) -> Iterator[Entry]:
        """The entries, the oldest first."""
        return iter(list(self._entries.values()))

    def get(self, run_id: str) -> Entry | None:
        """The job with exactly this run id."""
        return self._entries.get(run_id)

    def file(self, run_id: str) -> Path:
        """Where the job's file is."""
        return self._folder / f"{check_run_id(run_id)}.yaml"

    def add(self, entry: Entry, job: bytes) -> None:
        """Take a job in: it is on disk when this returns. The oldest that have ended make room.

        Raises:
            StoreError: it cannot be written; it is not taken in then.
        """
        write_file(self.file(entry.run_id), [job], self._disk)
        self._write(entry)
        ended = [each.run_id for each in self if not each.is_open]
        for run_id in ended[: max(0, len(ended) - KEPT)]:
            self._forget(run_id)

    def change(self, entry: Entry) -> None:
        """Put an entry in the place of the one with its run id.

        Raises:
            StoreError: it cannot be written; what was there still is.
        """
        if entry != self._entries[entry.run_id]:
            self._write(entry)

    def _write(self, entry: Entry) -> None:
        write_file(self._folder / f"{entry.run_id}.json", [msgspec.json.encode(entry)], self._disk)
        self._entries[entry.run_id] = entry

    def _forget(self, run_id: str) -> None:
        del self._entries[run_id]
        for path in (self._folder / f"{run_id}.json", self.file(run_id)):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StoreError(f"{path}: {error.strerror}") from error
