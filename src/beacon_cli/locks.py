"""One process at a time: a lock that the operating system holds on a file and gives back when its holder dies.

The file holds the number of the process that has the lock, for the message to the one that does not get it. It is
never removed: two processes would then lock two files of one name. Knows nothing of runs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from beacon_cli.disk import Disk, explained, write_all
from beacon_cli.errors import StoreError

_TRIES = 5
_BETWEEN_TRIES = 0.01
_LONGEST_NUMBER = 20


@contextmanager
def lock(path: Path, what: str, disk: Disk) -> Iterator[None]:
    """Have the lock for the body; the file is made if there is none.

    Raises:
        StoreError: another process has it and is writing `what`, as the message says; or the file cannot be made,
            or its disk knows no locks.
    """
    with explained(path):
        descriptor = disk.open(path, os.O_RDWR | os.O_CREAT)
    try:
        with explained(path):
            _take(descriptor, what)
        _leave_number(descriptor, disk)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process has the lock now. Changes nothing.

    Raises:
        StoreError: the file cannot be read, or its disk knows no locks.
    """
    with explained(path):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return not _try(descriptor, shared=True)
        finally:
            os.close(descriptor)


def holder(path: Path) -> int | None:
    """The number of the process that has the lock now; None: nobody has it, or it could not say so.

    Raises:
        StoreError: as `is_locked`.
    """
    if not is_locked(path):
        return None
    with explained(path):
        number = path.read_bytes()[:_LONGEST_NUMBER]
    return int(number) if number.isdigit() else None


def _take(descriptor: int, what: str) -> None:
    for _ in range(_TRIES):
        if _try(descriptor, shared=False):
            return
        time.sleep(_BETWEEN_TRIES)  # `is_locked` of another process may stand in the way for a moment
    raise StoreError(f"{what} is being written by {_holder(descriptor)}; wait until that one has ended, or end it")


def _leave_number(descriptor: int, disk: Disk) -> None:
    """Say who holds the lock, if there is room for it: a full disk must not keep calls from being ended."""
    try:
        disk.truncate(descriptor, 0)
        write_all(disk, descriptor, str(os.getpid()).encode("ascii"))
    except OSError:
        with suppress(OSError):
            disk.truncate(descriptor, 0)


def _holder(descriptor: int) -> str:
    number = b""
    with suppress(OSError):
        number = os.read(descriptor, _LONGEST_NUMBER)
    return f"process {number.decode()}" if number.isdigit() else "another process"


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    _FAR = 1 << 30  # Windows hides locked bytes from readers: lock one that is not there

    def _try(descriptor: int, *, shared: bool) -> bool:
        del shared  # Windows has no such lock here; `_take` tries again
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _try(descriptor: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
