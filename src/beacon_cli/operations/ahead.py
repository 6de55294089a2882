"""What the end of a run needs, made ready while answers are awaited: modules that show it, the reader's patterns.

Loading takes a twentieth of a second, and a run waits for the network anyway. Must decide nothing: an end for
which nothing was made ready shows the same, later.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from beacon_cli import events as ev
from beacon_cli import wiring
from beacon_cli.results import Standings

if TYPE_CHECKING:  # what this room is for is to import it elsewhere
    from beacon_cli.evidence.readings import Reader

_SWITCH = 0.0005
"""Seconds after which the thread lets the event loop go on, in place of five thousandths: every wait costs one."""


class Ahead:
    """Begins with the first call of several: before its answer there is the least to do. A `ports.Listener`."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._reader: Reader | None = None

    def reader(self) -> Reader | None:
        """What reads the answers, once it is ready; None if the end has to make its own."""
        if self._thread is not None:
            self._thread.join()
        return self._reader

    async def handle(self, event: ev.Event, standings: Standings) -> None:
        """See `ports.Listener.handle`; never waits."""
        if self._thread is None and isinstance(event, ev.CallPlaced) and standings.planned > 1:
            self._thread = Thread(target=self._make, name="ahead", daemon=True)
            self._thread.start()

    def _make(self) -> None:
        usual = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH)
        try:
            with suppress(Exception):  # the end meets it again, and says so
                from beacon_cli.operations import looking, noting, timing  # noqa: F401 - so that they are there

                self._reader = wiring.reader(wiring.settings())
        finally:
            sys.setswitchinterval(usual)
