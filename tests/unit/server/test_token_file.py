"""The server's token on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from beacon_cli.errors import BeaconError, StartError
from beacon_cli.server import token_file


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask."""
    path = tmp_path / "server-token"
    before = os.umask(0)
    try:
        made, is_new = token_file.kept(path)
    finally:
        os.umask(before)
    assert (is_new, stat.S_IMODE(path.stat().st_mode)) == (True, 0o600)
    assert token_file.kept(path) == (made, False)
    assert len(made) >= 43


def test_two_homes_have_two_tokens(tmp_path: Path) -> None:
    """It is drawn anew each time."""
    assert token_file.kept(tmp_path / "a")[0] != token_file.kept(tmp_path / "b")[0]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_one_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Somebody may have it already."""
    path = tmp_path / "server-token"
    token_file.kept(path)
    path.chmod(mode)
    with pytest.raises(StartError, match="can be read by others"):
        token_file.kept(path)


@pytest.mark.parametrize("content", ["", "short", "x" * 300, "a b" * 20])
def test_what_is_no_token_is_refused(tmp_path: Path, content: str) -> None:
    """An empty file would let everybody in."""
    path = tmp_path / "server-token"
    path.write_text(content, encoding="ascii")
    path.chmod(0o600)
    with pytest.raises(StartError, match="holds no token"):
        token_file.kept(path)


def test_neither_a_link_nor_a_pipe_is_followed(tmp_path: Path) -> None:
    """Neither is a file of ours; a pipe would be waited for for ever."""
    token_file.kept(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "pipe"):
        with pytest.raises(BeaconError):
            token_file.kept(tmp_path / name)
