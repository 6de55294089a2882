"""An event loop that stands still, in one process: imported as `sitecustomize` from a folder on its PYTHONPATH.

It does so as long as there is a file `block` in the current folder, like a loop whose task computes and never
waits. The process' other threads go on.
"""

from __future__ import annotations

import os
import time
from asyncio import base_events
from pathlib import Path

_LONGEST = 60.0
"""Seconds; a test that fails leaves no process behind."""


def install() -> None:
    """Have every turn of an event loop of this process wait while the file is there."""
    sign = Path("block").absolute()
    once: object = base_events.BaseEventLoop._run_once  # type: ignore[attr-defined]

    def held(loop: object) -> None:
        until = time.monotonic() + _LONGEST
        while sign.exists() and time.monotonic() < until:
            time.sleep(0.01)
        once(loop)  # type: ignore[operator]

    base_events.BaseEventLoop._run_once = held  # type: ignore[attr-defined]


if os.environ.get("BEACON_BLOCK"):
    install()
