"""A clock that is wrong, for one process: imported as `sitecustomize` from a folder on its PYTHONPATH.

`BEACON_SKEW` holds seconds to add, the rate, and the seconds of a jump, which comes as soon as there is a file
`jump` in the current folder. The clock of the machine (CLOCK_BOOTTIME), which a queue's file goes by, is the same
for all processes of one kernel and is left alone: no process can have another.
"""

from __future__ import annotations

import os
import time
from pathlib import Path


def install(told: str) -> None:
    """Bend `time.time` and `time.monotonic` for this process."""
    ahead, rate, jump = (float(part) for part in told.split(","))
    wall, ticking = time.time, time.monotonic
    sign = Path("jump").absolute()
    began, first = ticking(), wall()

    def bent_wall() -> float:
        passed = ticking() - began
        return first + ahead + passed * rate + (jump if sign.exists() else 0.0)

    time.time = bent_wall
    time.monotonic = lambda: began + (ticking() - began) * rate


if told := os.environ.get("BEACON_SKEW"):
    install(told)
