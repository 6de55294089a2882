"""What the tests of the queue share: a clock that they move, and requests of runs."""

from __future__ import annotations

from typing import Any

from beacon_cli.tickets import HowEnded, Part, Request

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
