"""A queue's file that was deleted: what it knew may live on, so nobody is served before that must have ended."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from tests.support.queueing import Hands, request

from beacon_cli.ports import Store
from beacon_cli.queues import sqlite
from beacon_cli.tickets import Answer, Caps, Entered, Granted, Waiting, Why


def claimed(store: Store) -> Answer:
    """What run `a` is told that has been there all along."""
    store.renew("host:a")
    entrance = store.enter(request("a"))
    assert isinstance(entrance, Entered)
    return store.claim(entrance.ticket, "host:a")


def _deleted(path: Path, hands: Hands) -> None:
    sqlite.store(path, clock=hands, wall=hands.wall).close()
    for each in path.parent.glob("queue.db*"):
        each.unlink()


def test_a_first_file_serves_at_once(tmp_path: Path) -> None:
    """Where no queue has ever been kept, nothing can have been lost."""
    hands = Hands()
    with closing(sqlite.store(tmp_path / "queue.db", clock=hands, wall=hands.wall)) as store:
        assert isinstance(claimed(store), Granted)
        assert not store.begin()


def test_a_deleted_file_serves_nobody_for_a_while(tmp_path: Path) -> None:
    """A new file in place of one that is gone grants nothing while idle containers may live, also if reopened."""
    hands, path = Hands(), tmp_path / "queue.db"
    _deleted(path, hands)
    caps = Caps(quarantine_seconds=300.0)
    with closing(sqlite.store(path, clock=hands, wall=hands.wall)) as store:
        store.agree(caps)
        answer = claimed(store)
        assert isinstance(answer, Waiting)
        assert (answer.why, "from 333 s on" in answer.reason) == (Why.NEW_STORE, True)
        assert "beacon queue begin" in answer.reason
    hands.pass_by(330)
    with closing(sqlite.store(path, clock=hands, wall=hands.wall)) as store:
        assert isinstance(claimed(store), Waiting)
        hands.pass_by(3)
        assert isinstance(claimed(store), Granted)


def test_somebody_may_vouch_for_it(tmp_path: Path) -> None:
    """Who knows that nothing lives lets it begin at once: leases on one machine end with their processes' file."""
    hands, path = Hands(), tmp_path / "queue.db"
    _deleted(path, hands)
    with closing(sqlite.store(path, clock=hands, wall=hands.wall)) as store:
        assert isinstance(claimed(store), Waiting)
        assert store.begin()
        assert isinstance(claimed(store), Granted)


@pytest.mark.parametrize("outlived", [True, False])
def test_a_rehearsal_has_nothing_to_wait_for(tmp_path: Path, *, outlived: bool) -> None:
    """Where containers end with who made them, a deleted file is a new one."""
    hands, path = Hands(), tmp_path / "queue.db"
    _deleted(path, hands)
    with closing(sqlite.store(path, clock=hands, wall=hands.wall, outlived=outlived)) as store:
        assert isinstance(claimed(store), Waiting) == outlived
