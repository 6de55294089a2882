"""Which version of an app is deployed: what the SDK's own command `modal app history` says of it.

The SDK has no public call for it; the command is public, and takes credentials and environment as the SDK does.
What it prints is read as hostile text: whatever is not of its form is an app whose version is unknown.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import anyio
import msgspec

from beacon_cli.ports import Version

_PATIENCE = 15.0
"""Seconds for one app; the command alone takes about one to start."""
_LONGEST = 100


async def version(app: str) -> Version | None:
    """The newest deployment of an app; None where the command does not say, for whatever reason."""
    command = [sys.executable, "-m", "modal", "app", "history", "--json", "--", app]
    try:
        with anyio.fail_after(_PATIENCE):
            done = await anyio.run_process(command, check=False, stderr=subprocess.DEVNULL)
    except (OSError, TimeoutError):
        return None
    return newest(done.stdout) if done.returncode == 0 else None


def newest(printed: bytes) -> Version | None:
    """The newest deployment among those that the command has printed; None where it is not of its form."""
    try:
        said = msgspec.json.decode(printed)
    except (ValueError, RecursionError):
        return None
    rows = [row for row in said if isinstance(row, dict)] if isinstance(said, list) else []
    found = [(number, row) for row in rows if (number := _number(row.get("version"))) is not None]
    if not found:
        return None
    number, row = max(found, key=lambda each: each[0])
    return Version(
        number=number,
        at=_text(row.get("time_deployed")),
        by=_text(row.get("deployed_by")),
        tag=_text(row.get("tag")),
    )


def _number(value: Any) -> int | None:
    digits = value.removeprefix("v") if type(value) is str else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < _LONGEST else None


def _text(value: Any) -> str:
    return value[:_LONGEST] if type(value) is str else ""
