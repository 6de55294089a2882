"""Who asked a run to stop, and how it ends when somebody cannot wait."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import NoReturn

from beacon_cli import signals
from beacon_cli.display import paper
from beacon_cli.results import Standings


class Stop:
    """The first signal ends the run in order, the second at once."""

    def __init__(self, run_id: str, standings: Standings) -> None:
        self._run_id = run_id
        self._standings = standings
        self._signal: int | None = None

    @property
    def exit_code(self) -> int:
        """128 and the signal's number; a run that its own time limit stopped leaves as by Ctrl-C."""
        return 128 + (self._signal or signal.SIGINT)

    async def wishes(self) -> AsyncIterator[str]:
        """The name of the first signal; the second one is not waited for by anybody."""
        async for received in signals.stops():
            if self._signal is not None:
                self._abandon()
            self._signal = received
            yield received.name

    def _abandon(self) -> NoReturn:
        """Leave within the second; say which calls may still run, and what ends them."""
        calls = list(self._standings.open_calls)
        intents = self._standings.intents
        paper.say(
            [
                f"beacon: stopped at once; {len(calls)} calls may still run and cost money",
                *(f"  {call_id}" for call_id in calls),
                *([f"  and {intents} more, whose ids had not come yet"] if intents else []),
                f"End them:  beacon reap {self._run_id}",
                f"Go on:     beacon resume {self._run_id}",
            ],
            sys.stderr,
        )
        os._exit(self.exit_code)
