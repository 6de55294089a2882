"""Makes bytes durable: the few calls that change what is on disk, and the errors of all of them.

Knows folders, files and their modes; knows nothing of runs, journals and what the bytes mean. Everything that
beacon keeps goes through `Disk`, so that a test can let the Nth call fail.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from beacon_cli.errors import StoreError

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_BINARY = getattr(os, "O_BINARY", 0)  # Windows alone has it, and would change line ends without it
_BLOCK = 1 << 16

_REMEDIES = {
    errno.ENOSPC: "free some space on that disk, then go on",
    errno.EDQUOT: "free some of your quota on that disk, then go on",
    errno.EROFS: "that disk is read-only: make it writable or set BEACON_HOME to a folder that is",
    errno.EACCES: "make it readable and writable for you or set BEACON_HOME to a folder that is",
    errno.EPERM: "make it readable and writable for you or set BEACON_HOME to a folder that is",
    errno.EIO: "the disk itself fails: set BEACON_HOME to a folder on another one",
    errno.EMFILE: "raise the limit of open files (ulimit -n), then go on",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f), then go on",
    errno.ENAMETOOLONG: "set BEACON_HOME to a folder with a shorter name",
    errno.ENOTDIR: "move the file that stands where a folder has to be",
    errno.EEXIST: "move the file that stands where a folder has to be",
    errno.ENOENT: "make sure that its folder is there and stays there",
}


class Disk:
    """The calls that change what is on disk, each as the operating system has it: raises OSError."""

    def open(self, path: Path, flags: int) -> int:
        """Open and give the descriptor; a file that this creates is the owner's alone, whatever the umask."""
        descriptor = os.open(path, flags | _BINARY, FILE_MODE)
        if flags & os.O_CREAT and hasattr(os, "fchmod"):
            os.fchmod(descriptor, FILE_MODE)
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write some of `data`, at least a byte; how many bytes it was."""
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        """Return once the file or folder is on the disk itself."""
        os.fsync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(descriptor, size)

    def rename(self, source: Path, target: Path) -> None:
        """Give `source` the name `target`, in one step; what had that name is gone."""
        source.replace(target)

    def mkdir(self, path: Path) -> None:
        """Make a folder that is the owner's alone, whatever the umask."""
        path.mkdir(FOLDER_MODE)
        path.chmod(FOLDER_MODE)


DISK: Final = Disk()
"""The real one. Holds no state."""


def store_error(path: Path, error: OSError) -> StoreError:
    """The one line that says which file failed, how, and what helps."""
    reason = (error.strerror or str(error)).lower()
    remedy = _REMEDIES.get(error.errno or 0)
    return StoreError(f"{path}: {reason}" + (f"; {remedy}" if remedy else ""))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Whatever the operating system refuses in the body becomes a StoreError about `path`."""
    try:
        yield
    except OSError as error:
        raise store_error(path, error) from error


def write_all(disk: Disk, descriptor: int, data: bytes) -> None:
    """Write all of `data`, in as many steps as the disk wants."""
    rest = memoryview(data)
    while rest:
        rest = rest[disk.write(descriptor, rest) :]


def sync_folder(disk: Disk, folder: Path) -> None:
    """Make the names in `folder` durable: a new file's bytes outlive a power cut only together with its name."""
    if os.name == "nt":  # pragma: no cover
        return  # Windows has no such call and needs none
    descriptor = disk.open(folder, os.O_RDONLY)
    try:
        disk.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, chunks: Iterable[bytes], disk: Disk = DISK) -> None:
    """Put a whole file at `path`, or leave what was there: nobody ever sees a part of it, crash or no crash.

    Raises:
        StoreError: it could not be written; nothing of the attempt stays behind.
    """
    # The name is fixed, so that what a crash leaves behind is written over by the next try.
    draft = path.with_name(f".{path.name}.draft")
    with explained(path):
        try:
            _write_draft(disk, draft, chunks)
            disk.rename(draft, path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
        sync_folder(disk, path.parent)


def _write_draft(disk: Disk, draft: Path, chunks: Iterable[bytes]) -> None:
    # What stands there is what a crash left, or what somebody put into a shared folder for us to write through.
    with suppress(FileNotFoundError):
        draft.unlink()
    descriptor = disk.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        block = bytearray()
        for chunk in chunks:
            block += chunk
            if len(block) >= _BLOCK:
                write_all(disk, descriptor, bytes(block))
                block.clear()
        write_all(disk, descriptor, bytes(block))
        disk.fsync(descriptor)
    finally:
        os.close(descriptor)
