"""What tests of the server's jobs share."""

from __future__ import annotations

import pytest

from beacon_cli.server import jobs as server_jobs


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits in real time."""
    monkeypatch.setattr(server_jobs, "_PAUSE", 0.0)
    monkeypatch.setattr(server_jobs, "_WATCH", 0.01)
