"""A disk that fails when a test says so, and tells what was asked of it."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from beacon_cli.disk import Disk


class FaultyDisk(Disk):
    """Fails at the call with the number `fails_at`, from 1; with `for_good`, at every later one too.

    A write that fails has written half of what it was given. No write takes more than `at_most` bytes.
    """

    def __init__(
        self,
        fails_at: int | None = None,
        *,
        code: int = errno.ENOSPC,
        for_good: bool = False,
        at_most: int = 1 << 30,
    ) -> None:
        self.calls: list[str] = []
        self.threads: set[int] = set()
        """The threads that wrote or synced."""
        self._fails_at = fails_at
        self._code = code
        self._for_good = for_good
        self._at_most = at_most

    @property
    def has_failed(self) -> bool:
        """Whether the call that was to fail has come."""
        return self._fails_at is not None and len(self.calls) >= self._fails_at

    def open(self, path: Path, flags: int) -> int:
        """See `Disk`."""
        self._step("open")
        return super().open(path, flags)

    def write(self, descriptor: int, data: memoryview) -> int:
        """See `Disk`."""
        self.threads.add(threading.get_ident())
        try:
            self._step("write")
        except OSError:
            os.write(descriptor, data[: len(data) // 2])
            raise
        return super().write(descriptor, data[: self._at_most])

    def fsync(self, descriptor: int) -> None:
        """See `Disk`."""
        self.threads.add(threading.get_ident())
        self._step("fsync")
        super().fsync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """See `Disk`."""
        self._step("truncate")
        super().truncate(descriptor, size)

    def rename(self, source: Path, target: Path) -> None:
        """See `Disk`."""
        self._step("rename")
        super().rename(source, target)

    def mkdir(self, path: Path) -> None:
        """See `Disk`."""
        self._step("mkdir")
        super().mkdir(path)

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self._fails_at or (self._for_good and self.has_failed):
            raise OSError(self._code, os.strerror(self._code))
