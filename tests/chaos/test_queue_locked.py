"""A process that is stopped within a transaction holds the lock of the queue's file: what others see of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.support.queueing import request

from beacon_cli.errors import StoreError
from beacon_cli.queues import sqlite
from beacon_cli.tickets import Entered

pytestmark = pytest.mark.timeout(60)

_WITHIN = """
import os, signal, sqlite3, sys
base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute("BEGIN IMMEDIATE")
os.kill(os.getpid(), signal.SIGSTOP)
base.execute("COMMIT")
"""


@contextmanager
def _stopped_within(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has begun a transaction and stands still."""
    process = subprocess.Popen([sys.executable, "-c", _WITHIN, str(path)])
    try:
        os.waitpid(process.pid, os.WUNTRACED)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.wait()


def test_who_would_change_it_is_told_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the time that a transaction waits, one line says that it is locked and how to find who holds it."""
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.3)
    path = tmp_path / "queue.db"
    with closing(sqlite.store(path)) as store, _stopped_within(path) as stopped:
        began = time.monotonic()
        with pytest.raises(StoreError) as refused:
            store.enter(request("a"))
        assert time.monotonic() - began < 5.0
        said = str(refused.value)
        assert "\n" not in said
        assert str(path) in said
        assert "locked" in said
        assert "kill -CONT" in said
        stopped.send_signal(signal.SIGCONT)
        assert stopped.wait() == 0
        assert isinstance(store.enter(request("a")), Entered)


def test_who_only_looks_waits_for_nobody(tmp_path: Path) -> None:
    """A process that begins to read, and one that reads already, see the queue as it was."""
    path = tmp_path / "queue.db"
    with closing(sqlite.store(path)) as store:
        store.enter(request("a"))
        with _stopped_within(path):
            began = time.monotonic()
            with closing(sqlite.store(path)) as other:
                seen = [each.snapshot().regions["us"].waiting for each in (store, other)]
            assert time.monotonic() - began < 5.0
    assert [[each.run_id for each in waiting] for waiting in seen] == [["a"], ["a"]]
