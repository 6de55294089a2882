"""How `beacon serve` starts, or does not."""

from __future__ import annotations

import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.support.serving import serving

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what these tests are about

Beacon: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


def test_the_token_is_shown_once_and_kept_for_its_owner(tmp_path: Path, environment: dict[str, str]) -> None:
    """Again it is not shown; clients go on with the one that they have."""
    token = tmp_path / "state" / "server-token"
    with serving(tmp_path, environment) as first:
        pass
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert first.lines[1].endswith(f"kept in {token}:  {first.token}")
    with serving(tmp_path, environment) as second:
        pass
    assert second.token == first.token
    assert first.token not in "".join(second.lines)


def test_a_second_server_in_the_same_home_is_refused(
    tmp_path: Path, environment: dict[str, str], beacon: Beacon
) -> None:
    """Both would carry the same jobs out."""
    with serving(tmp_path, environment) as served:
        ended = beacon("serve", "--port", "0")
        assert ended.returncode == 4
        assert f"is being written by process {served.process.pid}" in ended.stderr


def test_a_port_that_is_taken_is_said(beacon: Beacon) -> None:
    """With what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = beacon("serve", "--port", port)
    assert ended.returncode == 5
    assert ended.stderr == (
        f"beacon: port {port} of 127.0.0.1 cannot be used: Address already in use; choose another with --port\n"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--host", EVERYWHERE],
            f"--host {EVERYWHERE} lets other machines in: --allow-host says under which name they ask",
        ),
        (["--host", "beacon.example"], "--host beacon.example lets other machines in"),
        (["--host", "localhost.evil", "--allow-host", "a"], "--host: 'localhost.evil' is no IP address"),
        (["--allow-host", "http://a"], "--allow-host: 'http://a' is no host's name"),
        (["--allow-host", "a/b"], "--allow-host: 'a/b' is no host's name"),
        (["--allow-host", ""], "--allow-host: '' is no host's name"),
        (["--port", "70000"], "Invalid value for '--port'"),
    ],
)
def test_a_wrong_wish_is_refused(beacon: Beacon, options: list[str], said: str) -> None:
    """Before anything is made or listened to."""
    ended = beacon("serve", "--port", "0", *options)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_a_token_that_others_can_read_is_refused(tmp_path: Path, beacon: Beacon) -> None:
    """It may be known already."""
    token = tmp_path / "state" / "server-token"
    token.parent.mkdir()
    token.write_text("x" * 43, encoding="ascii")
    token.chmod(0o644)
    ended = beacon("serve", "--port", "0")
    assert ended.returncode == 5
    assert "can be read by others" in ended.stderr


def test_other_machines_are_let_in_by_name_and_it_is_said(tmp_path: Path, environment: dict[str, str]) -> None:
    """The name is known from then on, beside this machine's own."""
    with serving(tmp_path, environment, "--host", EVERYWHERE, "--allow-host", "Beacon.example") as served:
        with served.client(host="beacon.example:8585") as client:
            assert client.get("/health").status_code == 200
        with served.client(host="another.example") as client:
            assert client.get("/health").status_code == 421
    assert "without the token" in (tmp_path / "serve.err").read_text(encoding="utf-8")


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path, beacon: Beacon) -> None:
    """One line, and no traceback."""
    missing = "raise ModuleNotFoundError(\"No module named 'uvicorn'\", name='uvicorn')\n"
    (tmp_path / "uvicorn.py").write_text(missing, encoding="ascii")
    ended = beacon("serve", PYTHONPATH=str(tmp_path))
    assert ended.returncode == 5
    assert ended.stderr == "beacon: uvicorn is not installed: pip install 'beacon-cli[serve]'\n"
