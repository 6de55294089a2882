from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.support.faulty import FaultyDisk

from beacon_cli.disk import DISK, explained, store_error, write_file
from beacon_cli.errors import StoreError


@pytest.mark.parametrize("there", [None, b"old"])
def test_a_file_is_whole_or_as_it_was(tmp_path: Path, there: bytes | None) -> None:
    """Whichever call fails while a file is written, the old one or the new one is there, and nothing else."""
    for number in count(1):
        path = tmp_path / str(number) / "results.jsonl"
        path.parent.mkdir()
        if there is not None:
            path.write_bytes(there)
        disk = FaultyDisk(number)
        failure = None
        try:
            write_file(path, [b"new " * 50_000, b"file"], disk)
        except StoreError as error:
            failure = str(error)
        assert (failure is not None) == disk.has_failed
        assert failure is None or failure.startswith(f"{path}: ")
        found = path.read_bytes() if path.exists() else None
        assert found in (there, b"new " * 50_000 + b"file")
        assert [entry.name for entry in path.parent.iterdir()] == ([path.name] if found is not None else [])
        if not disk.has_failed:
            assert found != there
            return


def test_the_name_follows_the_bytes(tmp_path: Path) -> None:
    """A file is synced before it gets its name, and its folder after."""
    disk = FaultyDisk()
    write_file(tmp_path / "f", [b"x"], disk)
    assert disk.calls == ["open", "write", "fsync", "rename", "open", "fsync"]


def test_rows_that_cannot_be_made(tmp_path: Path) -> None:
    """An error of whoever makes the content passes on as it is and leaves the old file alone."""

    def chunks() -> Iterator[bytes]:
        yield b"new"
        raise KeyError("broken")

    path = tmp_path / "results.jsonl"
    path.write_bytes(b"old")
    with pytest.raises(KeyError, match="broken"):
        write_file(path, chunks())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes(tmp_path: Path, umask: int) -> None:
    """Files are 0600 and folders 0700, whatever the umask."""
    before = os.umask(umask)
    try:
        DISK.mkdir(tmp_path / "folder")
        write_file(tmp_path / "folder" / "file", [b"x"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "folder" / "file").stat().st_mode) == 0o600


def test_a_draft_that_a_crash_left_is_written_over(tmp_path: Path) -> None:
    """What a crash left half written is no hindrance and does not stay, whatever its mode was."""
    draft = tmp_path / ".f.draft"
    draft.write_bytes(b"a longer draft than the file")
    draft.chmod(0o644)
    write_file(tmp_path / "f", [b"x"])
    assert (tmp_path / "f").read_bytes() == b"x"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600
    assert not draft.exists()


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_every_error_is_one_line(code: int) -> None:
    """Whatever the operating system refuses becomes one line that begins with the file."""
    message = str(store_error(Path("/somewhere/file"), OSError(code, os.strerror(code))))
    assert message.startswith("/somewhere/file: ")
    assert "\n" not in message


def test_only_the_systems_errors_are_explained() -> None:
    """A fault of beacon's own is not made into a fault of the disk."""
    with pytest.raises(ValueError, match="own"), explained(Path("f")):
        raise ValueError("own")
