"""Which version of an app is deployed: the SDK's own command against the emulator, and what it may print."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.contracts.executing import emulating

from beacon_cli.behaviour.script import Script
from beacon_cli.executors.modal import versions
from beacon_cli.ports import Version

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """As the commands do."""
    return "asyncio"


async def test_the_command_says_which_version_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that is there has a number and a date; of a name that looks like an option none is known."""
    monkeypatch.setattr(versions, "_PATIENCE", 60.0)
    with emulating(Script()) as address:
        for name, value in address.environment().items():
            monkeypatch.setenv(name, value)
        found = await versions.version("project-beacon-hf-eu")
        assert found is not None
        assert (found.number, found.by, found.at[:2]) == (1, "emulator", "20")
        assert await versions.version("--help") is None


async def test_who_does_not_answer_in_time_leaves_the_version_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is ended when its time is over."""
    monkeypatch.setattr(versions, "_PATIENCE", 0.0)
    assert await versions.version("project-beacon-hf-eu") is None


ROW = {"version": "v7", "time_deployed": "2026-11-22 05:00:00+00:00", "deployed_by": "ann", "tag": None}


@pytest.mark.parametrize(
    "said",
    [
        [],
        {},
        None,
        3,
        [None],
        [{"version": 7}],
        [{"version": "v"}],
        [{"version": "v-1"}],
        [{"version": "v" + 200 * "9"}],
    ],
)
def test_what_is_of_another_form_is_unknown(said: Any) -> None:
    """No row, no version, no number: nothing is known, and nothing raised."""
    assert versions.newest(json.dumps(said).encode()) is None
    assert versions.newest(b"[" * 100_000) is None


def test_the_newest_is_the_highest() -> None:
    """Whatever the order of the rows, and whatever stands beside them."""
    rows = [{"version": "v2"}, ROW, {"version": "v6", "tag": 5}, "v9"]
    assert versions.newest(json.dumps(rows).encode()) == Version(number=7, at=ROW["time_deployed"] or "", by="ann")
