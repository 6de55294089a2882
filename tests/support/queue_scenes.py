"""A queue with something of everything in it, and one with a great many tickets."""

from __future__ import annotations

from typing import Any

from tests.support.queueing import Hands, part, request

from beacon_cli import queue_form
from beacon_cli.model import JsonObject
from beacon_cli.ports import Store
from beacon_cli.queues import memory
from beacon_cli.tickets import Caps, Entered, Granted, HowEnded, Priority

WARM = '{"app":"beacon-eu","cls":"Model","method":"ask","parameters":{"model":"m9"}}'


class Idler:
    """A mender with nothing to mend."""

    async def reclaim(self, tickets: Any) -> bool:
        """Nothing is left behind."""
        return not tickets

    async def cool(self, idle: Any) -> None:
        """Nothing is warm."""
        assert not idle


def turn(store: Store, run: str, region: str, **changes: object) -> tuple[int, int]:
    """A ticket and its turn: number and token."""
    entered = store.enter(request(run, region, **changes))
    assert isinstance(entered, Entered)
    granted = store.claim(entered.ticket, f"host:{run}")
    assert isinstance(granted, Granted)
    return entered.ticket, granted.token


def busy(run: str = "second", **names: object) -> tuple[Store, Hands]:
    """`us`: one job done in 60 s, `run` works, two wait; `eu`: paused, a pool warm; `asia`: a dead turn.

    `names` are of the request of the job that works.
    """
    hands = Hands()
    store: Store = memory.store(hands, hands.wall)
    store.agree(Caps())
    ticket, token = turn(store, "first", "us")
    store.leave(ticket, token, part(seconds=60.0), {})
    ticket, token = turn(store, "e", "eu", pools={WARM: 1})
    store.leave(ticket, token, part(HowEnded.FAILED, succeeded=1, failed=2), {WARM: 1})
    store.pause("eu", paused=True)
    ticket, token = turn(store, "dead", "asia")
    hands.pass_by(31)
    assert store.reclaim(ticket, "host:mender")
    ticket, token = turn(store, run, "us", **names)
    store.note(ticket, token, question="taiwan", working=["m1", "m2"])
    hands.pass_by(12)
    store.enter(request("third", "us", user="bob", executions=8))
    store.enter(request("fourth", "us", priority=Priority.HIGH))
    return store, hands


def limited() -> Store:
    """A user may have one job running: it works in `us`; in `eu` another of hers waits, and one of another's."""
    hands = Hands()
    store: Store = memory.store(hands, hands.wall)
    store.agree(Caps(jobs_running=1))
    ticket, token = turn(store, "done", "eu")
    store.leave(ticket, token, part(seconds=60.0), {})
    turn(store, "a", "us")
    store.enter(request("b", "eu"))
    store.enter(request("c", "eu", user="ben"))
    return store


def record(store: Store) -> JsonObject:
    """The status, with the three regions of the default configuration."""
    return queue_form.to_record(store.snapshot(), ["us", "eu", "asia"], {"bad": ("us", "eu")})
