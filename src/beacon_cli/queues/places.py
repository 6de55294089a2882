"""Where a queue's file may be: a folder of its owner alone, on a disk whose locks hold between processes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from beacon_cli.errors import StoreError

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORKED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "9p", "virtiofs", "fuse.sshfs",
     "fuse.s3fs", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "beegfs", "gpfs", "orangefs", "ncpfs"}
)  # fmt: skip
_FOLDER, _FILE = 0o700, 0o600
_PLACE, _FIELDS = 4, 10


def prepare(path: Path) -> None:
    """Make the folder and the file if they are not there, readable by their owner alone.

    Raises:
        StoreError: the file would be on a network file system.
        OSError: it cannot be made.
    """
    _make_folder(path.parent)
    kind = file_system(path.parent)
    if kind in _NETWORKED:
        raise StoreError(
            f"queue {path} is on a network file system ({kind}), whose locks do not hold between machines:"
            " set `home` or BEACON_HOME to a folder of this machine, or BEACON_QUEUE to a Redis"
        )
    if not path.exists():
        _make(path)


def was_known(path: Path) -> bool:
    """Whether a queue has ever been kept in this file, also if it is gone by now."""
    return _mark(path).exists()


def make_known(path: Path) -> None:
    """Remember, beside the file, that there is one: whoever finds none later knows that it was deleted.

    Raises:
        OSError: it cannot be written.
    """
    if not was_known(path):
        _make(_mark(path))


def _mark(path: Path) -> Path:
    return path.with_name(f".{path.stem}.known")


def _make(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _FILE)
    os.fchmod(descriptor, _FILE)
    os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if folder.exists():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(_FOLDER)
        folder.chmod(_FOLDER)  # whatever the umask


def file_system(folder: Path, mounts: Path = _MOUNTS) -> str:
    """The kind of file system that a folder is on; empty where nothing says so."""
    real, longest, kind = str(folder.resolve()), "", ""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < _FIELDS or "-" not in fields:
            continue
        place = fields[_PLACE].replace("\\040", " ")
        inside = f"{real}/".startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(longest):
            longest, kind = place, fields[fields.index("-") + 1]
    return kind
