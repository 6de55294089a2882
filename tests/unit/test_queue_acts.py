"""What is said of a run that is to be cancelled."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from tests.support.queueing import Hands, request

from beacon_cli import wiring
from beacon_cli.errors import StoreError, UsageError
from beacon_cli.operations import queue_acts
from beacon_cli.queues import sqlite
from beacon_cli.queues.clocks import ticking
from beacon_cli.runs import Runs
from beacon_cli.settings import Settings
from beacon_cli.tickets import Entered


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where everything is kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEACON_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("file", "asked_of_rehearsals", "said"),
    [("queue.db", True, "leave out --rehearsal"), ("rehearsals.db", False, "add --rehearsal")],
)
def test_a_run_in_the_other_queue_is_found_there(
    home: Path, file: str, said: str, *, asked_of_rehearsals: bool
) -> None:
    """Who forgot the option, or gave it in vain, is told so, by the beginning of the run's id too."""
    with closing(sqlite.store(home / file)) as store:
        assert isinstance(store.enter(request("run-1")), Entered)
    for name in ("run-1", "run"):
        with pytest.raises(UsageError, match=said):
            queue_acts.cancel(name, region="", rehearsal=asked_of_rehearsals)


@pytest.mark.parametrize("run", ["\udcff", "", "../../x", "\x1b[2J", "x" * 10_000])
def test_a_run_of_no_name_is_not_there(home: Path, run: str) -> None:
    """Whatever bytes it is made of: one line, and no fault of beacon's."""
    sqlite.store(home / "queue.db").close()
    for act in (queue_acts.release, partial(queue_acts.cancel, region="")):
        with pytest.raises(UsageError) as caught:
            act(run, rehearsal=False)
        assert str(caught.value).isprintable()


def test_a_dead_turn_does_not_stop_as_by_ctrl_c(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody is there who could: what it left behind is being ended by another."""
    hands = Hands()
    with closing(sqlite.store(home / "queue.db", clock=hands, wall=hands.wall)) as store:
        entered = store.enter(request("dead"))
        assert isinstance(entered, Entered)
        store.claim(entered.ticket, "host:dead")
        hands.now = ticking() + 1
        assert store.reclaim(entered.ticket, "host:mender")
    queue_acts.cancel("dead", region="", rehearsal=False)
    assert "run dead in us: its process is gone, and its calls are being ended" in capsys.readouterr().out


def test_a_run_without_a_ticket_is_stopped_where_it_runs(home: Path) -> None:
    """It takes none, or waits for one: the process that writes its folder is named, and what ends it in order."""
    run = Runs(home).create("r1", b"")
    with run.writing(), pytest.raises(UsageError, match=rf"or from here:  kill -INT {os.getpid()}$"):
        queue_acts.cancel("r1", region="", rehearsal=False)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_a_queue_that_nobody_lets_us_see_is_no_empty_one(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """A home of somebody else's, or a disk that fails: one line about the file, and no fault of beacon's."""

    def refused(_: Path, **__: object) -> None:
        raise error

    settings = Settings(home=home)
    monkeypatch.setattr(Path, "stat", refused)
    with pytest.raises(StoreError, match=rf"(?i)queue\.db: {error.strerror}"):
        wiring.store_if_any(settings, rehearsal=False)
