"""The run folders: `$BEACON_HOME/runs/<run-id>/` with the job as it was, the journal, the lock and the results.

Knows names, modes and who may write; what a journal says it asks `replay`. No path is ever made of a name that
`check_run_id` has not passed, so nothing is read or written outside the folders.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from beacon_cli import ascii_json, locks, replay
from beacon_cli.disk import DISK, Disk, explained, sync_folder, write_file
from beacon_cli.errors import StoreError, UsageError
from beacon_cli.events import RunFinished, RunStarted
from beacon_cli.model import JsonObject
from beacon_cli.replay import Recovered
from beacon_cli.rows import Status, tally

_SAFE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?", re.ASCII)
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE | re.ASCII)
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_BLOCK = 1 << 16
_SHOWN = 60


def new_run_id(now: float, rand: Callable[[], float]) -> str:
    """A run id that sorts by time, as `20261121-181502-k3f9`.

    The date and time are those of `now` (seconds since the epoch) in UTC; of the last four characters two are the
    milliseconds and two are drawn with `rand()`, from 0 to 1.
    """
    second, rest = divmod(now, 1.0)
    fraction = int(rest * 1024)
    drawn = min(int(rand() * 1024), 1023)
    tail = "".join(_DIGITS[number >> 5] + _DIGITS[number & 31] for number in (fraction, drawn))
    return f"{datetime.fromtimestamp(second, UTC):%Y%m%d-%H%M%S}-{tail}"


def check_run_id(name: str) -> str:
    """`name` itself, if it can name a run's folder on every system.

    Raises:
        UsageError: it cannot; the message says what can.
    """
    if _SAFE.fullmatch(name) and ".." not in name and not _RESERVED.fullmatch(name):
        return name
    raise UsageError(
        f"{_shown(name)} cannot be a run id: use 1 to 100 letters, digits, '-', '_' and single '.',"
        " beginning with a letter or digit and not ending with '.'; names that Windows reserves are out"
    )


def make_folder(folder: Path) -> None:
    """Make a folder of the user's, with the modes that the user's umask gives, unless it is there.

    Raises:
        StoreError: it cannot be made.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """No process writes it and some of it was not carried out: it can be resumed."""
    UNREADABLE = "unreadable"
    """Its journal is damaged or from a newer beacon; `Summary.note` says which."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One line about a run. `job` is None for a run that ended before it began; `started_at` is then its folder's.

    The counts are those of executions. While a run is running, `cancelled` counts what has yet to end.
    """

    run_id: str
    state: RunState
    started_at: float
    job: str | None = None
    rehearsal: bool = False
    planned: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    open_calls: int = 0
    """Calls that may still run, those of which only the intent is on disk included."""
    seconds: float | None = None
    """How long a run that came to its end took, since it started or was last resumed."""
    job_file: str = ""
    """Where the job came from."""
    note: str = ""


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path, disk: Disk = DISK) -> None:
        self.path = path
        self._disk = disk

    @property
    def run_id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def job(self) -> Path:
        """The job file as it was."""
        return self.path / "job.yaml"

    @property
    def journal(self) -> Path:
        """What happened."""
        return self.path / "events.jsonl"

    @property
    def results(self) -> Path:
        """One row for each execution."""
        return self.path / "results.jsonl"

    def writing(self) -> AbstractContextManager[None]:
        """Be the one process that writes this run, for the body. Its death ends that too.

        Raises:
            StoreError: another process is; it is named.
        """
        return locks.lock(self._lock, f"run {self.run_id}", self._disk)

    @property
    def is_written(self) -> bool:
        """Whether a process writes this run now.

        Raises:
            StoreError: the lock cannot be read.
        """
        return locks.is_locked(self._lock)

    @property
    def writer(self) -> int | None:
        """The number of the process that writes it; None: there is none, or nobody knows.

        Raises:
            StoreError: the lock cannot be read.
        """
        return locks.holder(self._lock)

    def write_results(self, lines: Iterable[bytes]) -> Path:
        """Put the whole of the results in place, in one step; see `rows.to_line` and `replay.result_rows`.

        Raises:
            StoreError: they cannot be written; results that were there before still are.
        """
        write_file(self.results, lines, self._disk)
        return self.results

    def rows(self) -> Iterator[JsonObject]:
        """The rows of the results, as they were written last.

        Raises:
            StoreError: they cannot be read.
        """
        with explained(self.results), self.results.open("rb") as lines:
            yield from map(ascii_json.decoded, lines)

    def forget(self) -> None:
        """Remove the folder of a run that never began."""
        shutil.rmtree(self.path, ignore_errors=True)

    def copy_results(self, folder: Path) -> Path:
        """Put a copy of the results into a folder of the user's, which is made if it is not there.

        Raises:
            StoreError: it cannot be written.
        """
        make_folder(folder)
        copy = folder / self.results.name
        with explained(self.results), self.results.open("rb") as file:
            write_file(copy, iter(lambda: file.read(_BLOCK), b""), self._disk)
        return copy

    def recover(self) -> tuple[Recovered, RunStarted]:
        """What the journal holds, and how the run began.

        Raises:
            UsageError: the run never began; a kill, or a full disk, came before its first record.
            StoreError: as `replay.recover`.
        """
        recovered = replay.recover(self.journal) if self.journal.exists() else None
        if recovered is None or recovered.standings.run is None:
            raise UsageError(f"run {self.run_id} never began; start a new one with `beacon run`")
        return recovered, recovered.standings.run

    def summary(self) -> Summary:
        """What can be said of the run in one line.

        Of a run that came to its end and left no call behind only the first and the last line of the journal are
        read, of any other all.

        Raises:
            StoreError: the folder cannot be read. A damaged journal is no error here but a state.
        """
        with explained(self.path):
            made_at = self.path.stat().st_mtime
        # Asked before the journal is read: a run that ends in between would be called interrupted otherwise.
        running = self.is_written
        unfinished = RunState.RUNNING if running else RunState.INTERRUPTED
        if not self.journal.exists():
            return Summary(run_id=self.run_id, state=unfinished, started_at=made_at)
        try:
            return self._of_journal(unfinished, made_at)
        except StoreError as error:
            return Summary(run_id=self.run_id, state=RunState.UNREADABLE, started_at=made_at, note=str(error))

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    def _of_journal(self, unfinished: RunState, made_at: float) -> Summary:
        started, finished = replay.ends(self.journal)
        if finished and not finished.cancelled and not finished.open_calls:
            counts, open_calls = _closing(finished), 0
        else:
            standings = replay.recover(self.journal).standings
            finished = standings.finished  # not the last event, where calls that it left have been reaped
            counts, open_calls = tally(standings), len(standings.open_calls) + standings.intents
        if started is None:
            return Summary(run_id=self.run_id, state=unfinished, started_at=made_at)
        return Summary(
            run_id=self.run_id,
            state=RunState.FINISHED if finished and not finished.cancelled else unfinished,
            started_at=started.at,
            job=started.spec.id,
            rehearsal=started.rehearsal,
            planned=sum(counts.values()),
            succeeded=counts[Status.SUCCEEDED],
            failed=counts[Status.FAILED],
            skipped=counts[Status.SKIPPED],
            cancelled=counts[Status.CANCELLED],
            open_calls=open_calls,
            seconds=finished.seconds if finished else None,
            job_file=started.job_file,
        )


class Runs:
    """All run folders of one home (`$BEACON_HOME`)."""

    def __init__(self, home: Path, disk: Disk = DISK) -> None:
        self._folder = home / "runs"
        self._disk = disk

    def create(self, run_id: str, job: bytes) -> RunFolder:
        """Make a run's folder with the job file as it was, word for word.

        Raises:
            UsageError: the run id cannot be one, or is taken.
            StoreError: the folder cannot be made; nothing of it stays behind.
        """
        run = RunFolder(self._folder / check_run_id(run_id), self._disk)
        with explained(run.path):
            self._make(self._folder)
            try:
                self._disk.mkdir(run.path)
            except FileExistsError:
                raise UsageError(f"there is a run '{run_id}' already; choose another --run-id") from None
            try:
                sync_folder(self._disk, self._folder)
                write_file(run.job, [job], self._disk)
            except BaseException:
                shutil.rmtree(run.path, ignore_errors=True)
                raise
        return run

    def find(self, name: str) -> RunFolder:
        """The run with this id, or else the only one whose id begins so.

        Raises:
            UsageError: there is none, or more than one.
            StoreError: the home cannot be read.
        """
        names = sorted(self._names())
        matches = [name] if name in names else [other for other in names if name and other.startswith(name)]
        match matches:
            case [one]:
                return RunFolder(self._folder / one, self._disk)
            case []:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]}?" if near else "`beacon runs` lists what there is"
                raise UsageError(f"there is no run {_shown(name)}; {hint}")
            case [first, *_, last]:
                raise UsageError(
                    f"{len(matches)} runs begin with {_shown(name)}, from {first} to {last}; say more"
                )
        raise AssertionError(matches)

    def latest(self, *, unfinished: bool = False) -> RunFolder:
        """The run that started last; with `unfinished`, of those that began and were interrupted.

        Raises:
            UsageError: there is none.
            StoreError: the home cannot be read.
        """
        for summary in self.summaries():
            if not unfinished or (summary.state is RunState.INTERRUPTED and summary.job is not None):
                return RunFolder(self._folder / summary.run_id, self._disk)
        raise UsageError(
            "there is no unfinished run" if unfinished else "there is no run yet; begin with `beacon run`"
        )

    def folders(self) -> list[RunFolder]:
        """All runs there are, by their ids.

        Raises:
            StoreError: the home cannot be read.
        """
        return [RunFolder(self._folder / name, self._disk) for name in sorted(self._names())]

    def summaries(self) -> list[Summary]:
        """One for each run, the newest first.

        Raises:
            StoreError: the home cannot be read. One run that cannot be read is no error but `UNREADABLE`.
        """
        folders = (RunFolder(self._folder / name, self._disk) for name in self._names())
        return sorted(
            (run.summary() for run in folders), key=lambda run: (run.started_at, run.run_id), reverse=True
        )

    def _names(self) -> list[str]:
        with explained(self._folder):
            try:
                entries = os.scandir(self._folder)
            except FileNotFoundError:
                return []
            with entries:
                return [entry.name for entry in entries if _is_run(entry)]

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent)
        with explained(folder):
            try:
                self._disk.mkdir(folder)
            except FileExistsError:
                if not folder.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
            sync_folder(self._disk, folder.parent)


def _closing(finished: RunFinished) -> dict[Status, int]:
    return {status: getattr(finished, status.value) for status in Status}


def _is_run(entry: os.DirEntry[str]) -> bool:
    return _SAFE.fullmatch(entry.name) is not None and entry.is_dir(follow_symlinks=False)


def _shown(name: str) -> str:
    """The user's word as it can be printed: no control characters, not long."""
    return ascii(name if len(name) <= _SHOWN else name[:_SHOWN] + "...")
