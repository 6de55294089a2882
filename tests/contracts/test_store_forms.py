"""A queue that an earlier beacon wrote goes on under this one; what it knew is known still."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import redis as client
from tests.support.queueing import Hands, part, request
from tests.support.redis import Server, queue_name

from beacon_cli.ports import Store
from beacon_cli.queues import redis, sqlite
from beacon_cli.tickets import Entered, Granted, Refused


def _refuses_only(store: Store, aside: str) -> None:
    """The run that had lost three holders is refused, the one that had lost two is not."""
    assert store.set_aside() == {aside: ("us",)}
    assert isinstance(store.enter(request(aside)), Refused)
    assert isinstance(store.enter(request("b")), Entered)
    assert store.release(aside)
    assert store.set_aside() == {}


def test_a_file_of_the_first_form(tmp_path: Path) -> None:
    """Lost holders that were counts are holders; the tickets stay."""
    path, hands = tmp_path / "queue.db", Hands()
    with closing(sqlite.store(path, clock=hands, wall=hands.wall)) as store:
        assert isinstance(store.enter(request("c")), Entered)
    with closing(sqlite3.connect(path)) as base:
        base.executescript(
            "DROP TABLE lost;"
            "CREATE TABLE lost (run_id TEXT, region TEXT, count INTEGER, PRIMARY KEY (run_id, region));"
            "INSERT INTO lost VALUES ('a', 'us', 3), ('b', 'us', 2);"
            "PRAGMA user_version = 1;"
        )
    with closing(sqlite.store(path, clock=hands, wall=hands.wall)) as store:
        _refuses_only(store, "a")
        assert [each.run_id for each in store.snapshot().regions["us"].waiting] == ["c", "b"]


def test_a_redis_of_the_first_form(tmp_path: Path) -> None:
    """Lost holders that were counts are holders."""
    hands, queue = Hands(), queue_name()
    with Server(tmp_path, 'save ""') as server:
        with closing(redis.store(server.url, queue=queue, clock=hands, wall=hands.wall)):
            admin = client.Redis.from_url(server.url)
            admin.hset(f"beacon:{{{queue}}}:meta", "form", "1")
            admin.hset(f"beacon:{{{queue}}}:lost", mapping={'["a","us"]': 3, '["b","us"]': 2})
        with closing(redis.store(server.url, queue=queue, clock=hands, wall=hands.wall)) as store:
            _refuses_only(store, "a")


def test_a_file_keeps_what_was_asked_for_an_hour_only(tmp_path: Path) -> None:
    """What no limit looks at any more is forgotten: the file does not grow with each turn for ever."""
    path, hands = tmp_path / "queue.db", Hands()
    with closing(sqlite.store(path, clock=hands, wall=hands.wall)) as store:
        for number in range(5):
            entered = store.enter(request(f"r{number}"))
            assert isinstance(entered, Entered)
            granted = store.claim(entered.ticket, f"host:r{number}")
            assert isinstance(granted, Granted)
            store.leave(entered.ticket, granted.token, part(), {})
            hands.pass_by(1_500)
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("SELECT count(*) FROM asked").fetchone() == (3,)
