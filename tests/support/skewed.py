"""A clock that is wrong, for one process: imported as `sitecustomize` from a folder on its PYTHONPATH.

`BEACON_SKEW` holds seconds to add, the rate, and a jump: its seconds and after how many it comes. The clock of the
machine (CLOCK_BOOTTIME), which a queue's file goes by, is the same for all processes of one kernel and is left
alone: no process can have another.
"""

from __future__ import annotations

import os
import time


def install(told: str) -> None:
    """Bend `time.time` and `time.monotonic` for this process."""
    ahead, rate, jump, after = (float(part) for part in told.split(","))
    wall, ticking = time.time, time.monotonic
    began, first = ticking(), wall()

    def bent_wall() -> float:
        passed = ticking() - began
        return first + ahead + passed * rate + (jump if passed > after else 0.0)

    time.time = bent_wall
    time.monotonic = lambda: began + (ticking() - began) * rate


if told := os.environ.get("BEACON_SKEW"):
    install(told)
