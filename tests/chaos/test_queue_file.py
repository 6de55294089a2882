"""The queue's file fills up, is damaged, of a newer form, or gone: one line, and no GPU too many."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.chaos import Told, ended, is_full, stop, until
from tests.support.contest import Contest
from tests.support.queueing import request

from beacon_cli.errors import StoreError
from beacon_cli.ports import Store
from beacon_cli.queues import sqlite
from beacon_cli.tickets import Entered

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def queue_at() -> str:
    """A file, always."""
    return ""


@contextmanager
def _no_room(more: int, path: Path) -> Iterator[None]:
    """No file of this process grows beyond this one's log and so many bytes more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(f"{path.name}-wal").stat().st_size + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("more", [0, 30, 4000, 9000])
def test_a_full_disk_takes_nothing_back(tmp_path: Path, told: Told, more: int) -> None:
    """Whatever did not fit is as if never asked, and once there is room again the same store goes on."""
    told("the queue's file has no more room")
    path = tmp_path / "queue.db"
    store = sqlite.store(path)
    asked = [f"r{number}" for number in range(300)]
    with _no_room(more, path), pytest.raises(StoreError) as failure:
        _fill(store)
    assert "\n" not in str(failure.value)
    assert "roll" not in str(failure.value), "the reason is the disk's, not that of the way back"
    _fill(store)
    assert sorted(each.run_id for each in store.snapshot().regions["us"].waiting) == sorted(asked)
    store.close()


def test_a_full_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    """Where SQLite itself gives a transaction up, the reason is told, not that nothing is there to take back."""
    told("the queue's file has no more room")
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def kept(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", kept)
    store = sqlite.store(tmp_path / "queue.db")
    (pages,) = opened[0].execute("PRAGMA page_count").fetchone()
    opened[0].execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"):
        _fill(store)
    opened[0].execute("PRAGMA max_page_count = 100000")
    assert isinstance(store.enter(request("after")), Entered)
    store.close()


def _fill(store: Store) -> None:
    for number in range(300):
        store.enter(request(f"r{number}"))


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 999")
    base.close()


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 40_000)


def _no_database(path: Path) -> None:
    path.write_bytes(b"hello\n" * 1000)


_WRONG: dict[str, Callable[[Path], None]] = {
    "damaged": _damaged,
    "no database": _no_database,
    "of a newer beacon": _newer,
    "a folder": _a_folder,
}


@pytest.mark.parametrize("how", _WRONG)
def test_a_file_that_is_wrong_stops_a_run_before_it_begins(contest: Contest, told: Told, how: str) -> None:
    """One line says which file and why, with 4; no call is placed, and no run is left behind."""
    told("a queue's file that is wrong")
    contest.job("a", regions=["us"])
    contest.begin("a")
    contest.finish("a")
    contest.close_store()
    for rest in contest.home.glob("queue.db-*"):
        rest.unlink()
    _WRONG[how](contest.home / "queue.db")
    contest.job("b", regions=["us"])
    placed = sum(each["event"] == "placed" for each in contest.book.records())
    refused = contest.beacon("run", "b.yaml", "--run-id", "b", "--quiet")
    assert refused.code == 4, refused
    assert len(refused.err.splitlines()) == 1
    assert "queue.db" in refused.err
    assert sum(each["event"] == "placed" for each in contest.book.records()) == placed
    assert not (contest.home / "runs" / "b").exists()


@pytest.mark.parametrize("pages", ["the tickets", "all but the first"])
def test_pages_that_are_damaged_under_way_end_the_turn(contest: Contest, told: Told, pages: str) -> None:
    """A holder whose store goes bad ends its calls and leaves with 4, resumable; nobody else is let in."""
    told("pages of the queue's file damaged under way")
    contest.job("a", ["Why?", "It hangs"], regions=["us"])
    contest.begin("a")
    until(lambda: len(contest.told("a", "call_placed")) == 6, "its calls hang")
    path = contest.home / "queue.db"
    contest.store.pause("eu", paused=False)
    _write_out(path)
    with path.open("r+b") as file:
        file.seek(4096 if pages == "all but the first" else 8192)
        file.write(b"\xa5" * (path.stat().st_size - file.tell()))
    contest.job("b", regions=["us"])
    contest.begin("b")
    until(lambda: not contest.book.calls(), "its calls are ended", contest.lease + 8.0)
    failed = ended(contest.processes["b"], 90.0)
    assert failed.code == 4, failed
    if not is_full():
        stop(contest.processes["a"], signal.SIGTERM)  # it would ask the store for a minute
    stopped = ended(contest.processes["a"], 90.0)
    assert stopped.code == (4 if is_full() else 143), stopped
    assert "beacon resume a" in stopped.out + stopped.err
    assert contest.book.peaks()[""] <= 3


def _write_out(path: Path) -> None:
    """Have SQLite bring its log into the file, from a process of its own: locks of this one would be let go."""
    script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)')"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_deleted_under_way_ends_the_turn(contest: Contest, told: Told, *, replaced: bool) -> None:
    """A holder whose store is gone, or another by now, ends its calls within a lease; it does not work unseen."""
    told("the queue's file deleted under way")
    contest.job("a", ["It hangs"], regions=["us"])
    contest.begin("a")
    until(lambda: len(contest.told("a", "call_placed")) == 3, "its calls hang")
    contest.close_store()
    for each in contest.home.glob("queue.db*"):
        each.unlink()
    if replaced:
        assert contest.look().regions == {}
    until(lambda: not contest.book.calls(), "its calls are ended", contest.lease + 4.0)
    until(lambda: bool(contest.told("a", "turn_lost")), "it says so", 20.0)
    stop(contest.processes["a"], signal.SIGTERM)  # it would ask the store for a minute
    stopped = ended(contest.processes["a"])
    assert stopped.code == 143, stopped
    assert "deleted or replaced" in contest.told("a", "turn_lost")[0]["reason"]
