"""What the tests of the queue share: a clock that they move, requests of runs, and their way to a turn."""

from __future__ import annotations

from typing import Any, TypeAlias

from beacon_cli.ports import Store
from beacon_cli.tickets import Entered, Granted, HowEnded, Part, Request, Waiting

WALL = 1_800_000_000.0


class Hands:
    """A clock that stands still until somebody moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The store's time, in seconds."""
        return self.now

    def wall(self) -> float:
        """Its time for people."""
        return WALL + self.now

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def request(run: str = "a", region: str = "us", **changes: Any) -> Request:
    """What run `a` asks of a region: three pools of one GPU each, by the process `host:a`."""
    fields: dict[str, Any] = {
        "run_id": run,
        "job_id": "bias",
        "region": region,
        "user": "ann",
        "holder": f"host:{run}",
        "pools": {"p1": 1, "p2": 1, "p3": 1},
        "executions": 24,
        "models": ("m1", "m2", "m3"),
        **changes,
    }
    return Request(**fields)


def part(how: HowEnded = HowEnded.COMPLETED, **changes: Any) -> Part:
    """A run's part that ended well: 24 executions in 60 s."""
    fields: dict[str, Any] = {"how": how, "succeeded": 24, "failed": 0, "seconds": 60.0, **changes}
    return Part(**fields)


NOTHING = part(HowEnded.CANCELLED, succeeded=0, seconds=0.0)
"""The part of a run that did nothing."""
Given: TypeAlias = tuple[Store, Hands]
"""A store, and the clock that it reads."""


def enter(store: Store, run: str = "a", region: str = "us", **changes: Any) -> int:
    """Take a ticket; gives its number."""
    entrance = store.enter(request(run, region, **changes))
    assert isinstance(entrance, Entered), entrance
    return entrance.ticket


def waiting(store: Store, ticket: int, run: str) -> Waiting:
    """What a ticket waits for."""
    answer = store.claim(ticket, f"host:{run}")
    assert isinstance(answer, Waiting), answer
    return answer


def granted(store: Store, ticket: int, run: str) -> int:
    """The token of a ticket's turn."""
    answer = store.claim(ticket, f"host:{run}")
    assert isinstance(answer, Granted), answer
    return answer.token


def turn(store: Store, run: str = "a", region: str = "us", **changes: Any) -> tuple[int, int]:
    """Take a ticket and its turn; gives its number and token."""
    ticket = enter(store, run, region, **changes)
    return ticket, granted(store, ticket, changes.get("holder", f"host:{run}").removeprefix("host:"))
