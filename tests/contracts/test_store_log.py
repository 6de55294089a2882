"""The queue's log does not grow for ever, and what is left of it can be proved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.queueing import Given, Hands, part, request
from tests.support.redis import queue_name

from beacon_cli import queue_check
from beacon_cli.ports import Store
from beacon_cli.queues import memory, redis, sqlite
from beacon_cli.tickets import Caps, Entered, Granted, LogKind

KEPT = 50


@pytest.fixture(params=["memory", "sqlite", "redis"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Given]:
    """A store whose log keeps fifty entries, and its clock."""
    hands = Hands()
    store: Store
    match request.param:
        case "memory":
            store = memory.store(hands, hands.wall, log_kept=KEPT)
        case "sqlite":
            store = sqlite.store(tmp_path / "queue.db", clock=hands, wall=hands.wall, log_kept=KEPT)
        case _:
            url = request.getfixturevalue("server").url
            store = redis.store(url, queue=queue_name(), clock=hands, wall=hands.wall, log_kept=KEPT)
            store.begin()
            hands.pass_by(100)
    yield store, hands
    store.close()


def a_turn(store: Store, hands: Hands, run: str) -> None:
    """One turn of three entries; whoever else waits is renewed."""
    store.renew("host:stays")
    store.renew("host:works")
    entrance = store.enter(request(run, "eu"))
    assert isinstance(entrance, Entered)
    answer = store.claim(entrance.ticket, f"host:{run}")
    assert isinstance(answer, Granted), answer
    assert store.leave(entrance.ticket, answer.token, part(), {"p1": 1})
    hands.pass_by(1)


def test_the_log_keeps_to_its_length(given: Given) -> None:
    """After hundreds of turns the last fifty entries are there, not many more than twice as many, all in order."""
    store, hands = given
    store.agree(Caps())
    store.pause("asia", paused=True)
    working, waiting = store.enter(request("works")), store.enter(request("stays"))
    assert isinstance(working, Entered)
    assert isinstance(waiting, Entered)
    assert isinstance(store.claim(working.ticket, "host:works"), Granted)
    gone = store.enter(request("gone"))
    assert isinstance(gone, Entered)
    store.renew("host:gone")
    store.cancel("gone", None, "ben")
    entries = list(store.log())
    for number in range(200):
        a_turn(store, hands, f"r{number}")
        entries = list(store.log())
        assert [each.seq for each in entries] == list(range(entries[0].seq, entries[0].seq + len(entries)))
        proof = queue_check.check(entries)
        assert proof.violations == (), number
        assert proof.is_whole == (entries[0].seq == 1)
    assert entries[-1].seq > 600
    assert KEPT <= len(entries) <= 2 * KEPT + 20
    assert entries[0].kind is LogKind.STANDING
    assert entries[0].caps == Caps()
    middle = entries[len(entries) // 2].seq
    assert [each.seq for each in store.log(middle)] == list(range(middle + 1, entries[-1].seq + 1))
    assert list(store.log(1)) == entries, "what is forgotten is left out"


def test_what_stood_is_held_against_what_follows(given: Given) -> None:
    """A log that begins in the middle knows who had a turn: one more beside it is a violation."""
    store, hands = given
    store.agree(Caps())
    working = store.enter(request("works"))
    assert isinstance(working, Entered)
    assert isinstance(store.claim(working.ticket, "host:works"), Granted)
    for number in range(60):
        a_turn(store, hands, f"r{number}")
    entries = list(store.log())
    assert entries[0].seq > 1
    moved = [
        type(each)(**{name: getattr(each, name) for name in each.__struct_fields__} | {"region": "us"})
        if each.region == "eu"
        else each
        for each in entries
    ]
    rules = {each.rule for each in queue_check.check(moved).violations}
    assert {"GPUs", "jobs at once"} <= rules
