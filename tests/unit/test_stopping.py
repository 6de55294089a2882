"""What is said by who leaves at once."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

import pytest
from tests.unit.display.streams import Plot, played

from beacon_cli.operations import stopping

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Signals wake asyncio's event loop."""
    return "asyncio"


@pytest.mark.parametrize(("until", "left"), [(0.0, False), (30.0, True)])
async def test_who_leaves_at_once_says_what_may_be_left(
    monkeypatch: pytest.MonkeyPatch,
    until: float,
    left: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Calls that may still run are named with what ends them; where there is none, there is nothing to end."""
    said: list[bytes] = []

    def leave(code: int) -> NoReturn:
        raise SystemExit(code)

    monkeypatch.setattr(os, "write", lambda _, text: said.append(text))
    monkeypatch.setattr(os, "_exit", leave)
    standings = played(Plot(), until)
    assert bool(standings.open_calls) is left
    stop = stopping.Stop("r", standings)
    stop._heard(signal.SIGTERM)
    with pytest.raises(SystemExit) as left_with:
        stop._heard(signal.SIGTERM)
    lines = b"".join(said).decode().splitlines()
    assert left_with.value.code == 143
    assert ("End them:  beacon reap r" in lines) is left
    assert ("beacon: stopped at once; no call is left running" in lines) is not left
    assert "Go on:     beacon resume r" in lines
