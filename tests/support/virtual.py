"""Virtual time: when every task waits, the clock jumps to the next deadline. On both backends of anyio.

trio starts tasks in a shuffled order, which proves rules that must hold in any; asyncio, which beacon runs on,
starts them in the order of the asking.
"""

from __future__ import annotations

import asyncio as stdlib_asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
from trio.testing import MockClock

Main: TypeAlias = Callable[[], Awaitable[None]]
Backend: TypeAlias = Callable[[Main], None]


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that never waits: it tells its loop how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "every task waits for something that never comes"
            self.now += timeout
        return ready


class _JumpingLoop(stdlib_asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def trio(main: Main) -> None:
    """Run `main` on trio in virtual time."""
    anyio.run(main, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})


def asyncio(main: Main) -> None:
    """Run `main` on asyncio in virtual time; tasks start in the order in which they were asked for."""
    anyio.run(main, backend="asyncio", backend_options={"loop_factory": _JumpingLoop})
