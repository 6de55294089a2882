"""Who asked a run to stop, and how it ends when somebody cannot wait."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from beacon_cli import signals
from beacon_cli.display.clean import clean
from beacon_cli.display.words import count
from beacon_cli.errors import BudgetReached
from beacon_cli.results import Standings


class Stop:
    """The first signal ends the run in order, the second at once. Made on the event loop of the run.

    `changed` says how many pools have a window that the run changed and has not put back.
    """

    def __init__(self, run_id: str, standings: Standings, changed: Callable[[], int] = lambda: 0) -> None:
        self._run_id = run_id
        self._standings = standings
        self._changed = changed
        self._signal: signal.Signals | None = None
        self._reason = ""
        self._asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def exit_code(self) -> int:
        """128 and the signal's number; a run that its own time limit stopped leaves as by Ctrl-C.

        One that its budget stopped has a code of its own.
        """
        if self._reason and self._signal is None:
            return BudgetReached.exit_code
        return 128 + (self._signal or signal.SIGINT)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Listen to signals for the body: none of them ends the process but the second."""
        with signals.caught(self._heard):
            yield

    async def wishes(self) -> AsyncIterator[str]:
        """The name of the first signal, once it has come; or why the budget ends the run."""
        await self._asked.wait()
        yield self._signal.name if self._signal is not None else self._reason

    def spent(self, reason: str) -> None:
        """The budget ends the run, for this reason."""
        self._reason = self._reason or reason
        self._asked.set()

    def _heard(self, number: signal.Signals) -> None:
        if self._signal is not None:
            self._abandon()
        self._signal = number
        self._loop.call_soon_threadsafe(self._asked.set)  # a handler runs outside the loop, and has to wake it

    def _abandon(self) -> NoReturn:
        """Leave within the second; say which calls may still run, and what ends them."""
        calls = list(self._standings.open_calls)
        intents = self._standings.intents
        may_run = f"{count(len(calls), 'call')} may still run and cost money"
        lines = [
            f"beacon: stopped at once; {may_run if calls or intents else 'no call is left running'}",
            *(f"  {call_id}" for call_id in calls),
            *([f"  and {intents} more, whose ids had not come yet"] if intents else []),
            *([f"End them:  beacon reap {self._run_id}"] if calls or intents else []),
            f"Go on:     beacon resume {self._run_id}",
            *not_put_back(self._changed()),
        ]
        cursor = "\x1b[?25h\n" if os.isatty(2) else ""
        with suppress(OSError):  # past the stream's own buffer: this may have come in the midst of a write to it
            os.write(2, (cursor + "".join(clean(line) + "\n" for line in lines)).encode(errors="replace"))
        os._exit(self.exit_code)


def not_put_back(pools: int) -> list[str]:
    """What is said where so many pools have a window still that the run changed."""
    if not pools:
        return []
    said = f"beacon: the windows of {count(pools, 'pool')} were changed and are not put back"
    return [f"{said}: what is kept warm costs money until they are. Put them back:  beacon cool"]
