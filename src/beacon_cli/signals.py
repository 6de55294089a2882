"""Signals as a stream of wishes to stop. Knows nothing of runs; what a wish leads to is `conduct`'s business."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import anyio

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that end a run: Ctrl-C, `kill`, and the terminal's going away."""


async def stops() -> AsyncIterator[signal.Signals]:
    """Each signal that asks to stop, as it comes. While this is waited for, none of them ends the process."""
    with anyio.open_signal_receiver(*STOPPING) as received:
        async for number in received:
            yield number
