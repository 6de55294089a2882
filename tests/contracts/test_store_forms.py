"""A queue that an earlier beacon wrote goes on under this one; what it knew is known still."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import redis as client
from tests.support.queueing import Hands, part, request
from tests.support.redis import Server, queue_name

from beacon_cli.ports import Store
from beacon_cli.queues import redis, sqlite
from beacon_cli.queues.tables import KEPT_FAILURES
from beacon_cli.tickets import Entered, FailedExecution, Granted, Refused


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


def test_failures_that_a_redis_had_before_they_were_counted(tmp_path: Path) -> None:
    """They are the oldest, counted whatever stands in their texts, and are forgotten first."""
    old = [[failure(run, at) for at in range(3)] for run in ("x", "y")]
    with Server(tmp_path, 'save ""') as server:
        queue, hands = queue_name(), Hands()
        with closing(redis.store(server.url, queue=queue, clock=hands, wall=hands.wall)) as store:
            store.begin()
            hands.pass_by(100)
            key = f"beacon:{{{queue}}}:failures"
            with closing(client.Redis.from_url(server.url)) as admin:
                for part_ in old:
                    kept = json.dumps([msgspec.structs.asdict(each) for each in part_])
                    admin.hset(key, json.dumps([part_[0].run_id, "us"], separators=(",", ":")), kept)
            entered = store.enter(request("z"))
            assert isinstance(entered, Entered)
            granted = store.claim(entered.ticket, "host:z")
            assert isinstance(granted, Granted)
            new = tuple(failure("z", at) for at in range(KEPT_FAILURES - 4))
            assert store.leave(entered.ticket, granted.token, part(failures=new), {})
            left = Counter(each.run_id for each in store.failures())
    assert left == {"y": 3, "z": KEPT_FAILURES - 4}


def failure(run: str, at: int) -> FailedExecution:
    """One whose message looks as if it were two."""
    return FailedExecution(
        run_id=run,
        execution=f"e{at}",
        region="us",
        model="m1",
        question="q",
        kind="model",
        message='"execution": "e"',
        at=float(at),
    )
