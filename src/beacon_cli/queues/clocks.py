"""A clock that all processes of a machine share, whatever becomes of the wall clock."""

from __future__ import annotations

import time


def ticking() -> float:
    """Seconds since the machine was started; sleep counts where it can."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
