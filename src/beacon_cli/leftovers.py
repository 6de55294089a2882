"""Windows that beacon has changed and not yet put back, remembered on disk: a crash must leave nothing unknown.

One small file for each pool, in a folder of this machine. What is in it is kept before the window is changed and
forgotten after it is back, so that the most that can be wrong is a file too many: whoever puts windows back looks
first whether the pool still has the one that it was given. Asks no provider, and judges no pool's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from beacon_cli import locks
from beacon_cli.disk import DISK, Disk, explained, sync_folder, write_file
from beacon_cli.errors import StoreError
from beacon_cli.model import Window
from beacon_cli.priming import prime

_SUFFIX = ".json"
_DIGEST = 16


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """A pool whose window was changed from `before` to `now`, the last time by this run, at this time.

    `at` is seconds since the epoch.
    """

    pool: str
    before: Window
    now: Window
    run_id: str
    at: float


prime(Leftover)


class Leftovers:
    """The windows that are to be put back, in the home folder of this machine. Any thread and process may ask."""

    def __init__(self, home: Path, disk: Disk = DISK) -> None:
        self._home = home
        self._folder = home / "windows"
        self._disk = disk

    def remember(self, pool: str, before: Window, now: Window, *, run_id: str, at: float) -> Window:
        """Keep that a pool's window, which is `before`, is about to become `now`. On disk when it returns.

        Where it is what an earlier change made of it, the window before that one is the one to put back.

        Args:
            pool: its key, see `ports.Containers`.
            before: its window as the provider said just now.
            now: what it will be.
            run_id: the run for which it is changed; empty for a command without one, whose change no run undoes.
            at: seconds since the epoch.

        Returns:
            The window to put back.

        Raises:
            StoreError: it could not be kept: do not change the window.
        """
        with self._alone():
            known = self._read(self._path(pool))
            if known is not None and known.now == before:
                before = known.before
            if before == now:
                self._remove(pool)
                return before
            record = Leftover(pool=pool, before=before, now=now, run_id=run_id, at=at)
            write_file(self._path(pool), [msgspec.json.encode(record)], self._disk)
            return before

    def forget(self, pool: str) -> None:
        """The window is back, or is somebody else's by now. No error if nothing was kept.

        Raises:
            StoreError: the disk failed; it is remembered still.
        """
        if self._folder.exists():
            with self._alone():
                self._remove(pool)

    def every(self) -> tuple[Leftover, ...]:
        """All that is remembered, the oldest first.

        Raises:
            StoreError: the folder cannot be read, or a file in it is damaged.
        """
        with explained(self._folder):
            paths = sorted(self._folder.glob(f"*{_SUFFIX}")) if self._folder.exists() else []
        found = [each for path in paths if (each := self._read(path)) is not None]
        return tuple(sorted(found, key=lambda each: (each.at, each.pool)))

    def _path(self, pool: str) -> Path:
        name = hashlib.blake2b(pool.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).hexdigest()
        return self._folder / f"{name}{_SUFFIX}"

    def _read(self, path: Path) -> Leftover | None:
        """What a file holds; None if it is not there, or not any more."""
        with explained(path):
            try:
                return msgspec.json.decode(path.read_bytes(), type=Leftover)
            except FileNotFoundError:
                return None
            except msgspec.DecodeError as error:
                raise StoreError(
                    f"{path}: is damaged ({error}): delete it, and deploy anew the apps whose containers"
                    " should stay warm for longer than 2 s"
                ) from None

    def _remove(self, pool: str) -> None:
        path = self._path(pool)
        with explained(path):
            path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with explained(self._folder):
            for folder in (self._home, self._folder):
                if not folder.exists():
                    self._make(folder)
        with locks.lock(self._folder / "lock", "what is remembered of windows", self._disk):
            yield

    def _make(self, folder: Path) -> None:
        try:
            self._disk.mkdir(folder)
        except FileExistsError:  # another process made it in this moment
            return
        sync_folder(self._disk, folder.parent)
