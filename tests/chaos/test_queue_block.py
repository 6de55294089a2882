"""An event loop that stands still costs a run neither its turn nor its answers: its leases have a thread."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support import blocked
from tests.support.chaos import Told, count, until
from tests.support.contest import Contest, pause

from beacon_cli.tickets import LogKind

pytestmark = pytest.mark.timeout(120)

_LEASES = 4


@pytest.mark.parametrize("number", range(count(1, 5)))
def test_a_blocked_event_loop_costs_no_turn(contest: Contest, told: Told, number: int) -> None:
    """Blocked for four leases with calls in flight: nobody takes its turn, and all its executions succeed."""
    site = contest.folder / "site"
    site.mkdir()
    shutil.copy(Path(blocked.__file__), site / "sitecustomize.py")
    contest.job("busy", ["Why?"] * 4, regions=["us"])
    contest.job("next", ["Why?"] * 2, regions=["us"], models=["gemma-2", "phi-3", "yi-6b"])
    bent = {"PYTHONPATH": str(site), "BEACON_BLOCK": "1"}
    contest.start_anew("busy", "run", "busy.yaml", "--run-id", "busy", "--quiet", environment=bent)
    until(lambda: bool(contest.told("busy", "call_placed")), "it has calls in flight")
    contest.begin("next")
    (contest.folder / "block").touch()
    pause(0.5)
    still = len(contest.records("busy"))
    pause(_LEASES * contest.lease)
    assert len(contest.records("busy")) == still, "it does stand still"
    assert contest.holding() == {"us": "busy"}
    (contest.folder / "block").unlink()
    contest.finish()
    contest.verify()
    told("an event loop blocked for four leases", trial=number)
    taken = [entry.kind for entry in contest.store.log() if entry.run_id == "busy"]
    assert LogKind.RECLAIMING not in taken
    assert not contest.told("busy", "turn_lost")
    assert len(contest.told("busy", "attempt_succeeded")) == contest.planned["busy"]
    assert len(contest.told("busy", "attempt_started")) == contest.planned["busy"], "nothing was asked twice"
