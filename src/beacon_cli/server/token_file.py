"""The server's token: made at the first start, kept in a file that nobody else can read."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

from beacon_cli.disk import DISK, Disk, explained, write_file
from beacon_cli.errors import StartError

_FORM = re.compile(r"[A-Za-z0-9_-]{40,200}", re.ASCII)
_LONGEST = 1_000


def kept(path: Path, disk: Disk = DISK) -> tuple[str, bool]:
    """The token in the file, and whether it was made just now.

    Raises:
        StartError: the file is no token's, or others than its owner can read it.
        StoreError: it cannot be read or written.
    """
    found = _read(path)
    if found is not None:
        return found, False
    made = secrets.token_urlsafe(32)
    write_file(path, [made.encode("ascii") + b"\n"], disk)
    return made, True


def _read(path: Path) -> str | None:
    with explained(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            return None
        try:
            status = os.fstat(descriptor)
            data = os.read(descriptor, _LONGEST) if stat.S_ISREG(status.st_mode) else b""
        finally:
            os.close(descriptor)
    if os.name == "posix" and (status.st_mode & 0o077 or status.st_uid != os.getuid()):
        raise StartError(f"{path} can be read by others: remove it, and a new token is made at the next start")
    token = data.decode("ascii", "replace").strip()
    if not _FORM.fullmatch(token):
        raise StartError(f"{path} holds no token: remove it, and one is made at the next start")
    return token
