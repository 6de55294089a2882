"""Whose a ticket is, and which process holds it: names that any store and any terminal takes."""

from __future__ import annotations

import json
import os
import socket

import msgspec
import pytest

from beacon_cli.operations import taking_turns


@pytest.mark.parametrize("name", ["\udcff", "a\x1b[2Jb", "\u202eevil", "x" * 5_000])
def test_a_hostile_login_or_host_name_becomes_a_plain_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of undecodable bytes could not be written into any queue, and others would act on a terminal."""
    monkeypatch.setenv("LOGNAME", name)
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    for found in (taking_turns.user(), taking_turns.holder()):
        assert found.isprintable()
        assert len(found) < 300
        assert json.loads(msgspec.json.encode(found)) == found
    assert f":{os.getpid()}:" in taking_turns.holder()
