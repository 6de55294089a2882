"""Signals that ask to stop. Knows nothing of runs; what a wish leads to is its listener's business.

Plain handlers, kept from the first line to the last: an event loop's own would leave moments without any, in which
Ctrl-C is a traceback.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that end a run: Ctrl-C, `kill`, and the terminal's going away."""

Heard: TypeAlias = Callable[[signal.Signals], None]
"""Told of a signal in the main thread, between two steps of whatever that is doing."""


def catch(heard: Heard) -> dict[signal.Signals, Any]:
    """Have `heard` told of these signals from now on; gives what was there before.

    A hang-up that whoever started beacon has it ignore (`nohup`) stays ignored.
    """
    wanted = [number for number in STOPPING if not _is_ignored_hangup(number)]
    return {number: signal.signal(number, lambda given, _: heard(signal.Signals(given))) for number in wanted}


@contextmanager
def caught(heard: Heard) -> Iterator[None]:
    """Have `heard` told of these signals for the body; what was there before is back after."""
    before = catch(heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_ignored_hangup(number: signal.Signals) -> bool:
    return number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN
