"""What the end of a run needs, made ready while answers are awaited: modules that show it, how answers read.

Loading takes a twentieth of a second, reading an answer a tenth of a millisecond and more, and a run waits for the
network anyway. Must decide nothing: an end for which nothing was made ready shows the same, later.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

from beacon_cli import events as ev
from beacon_cli import wiring
from beacon_cli.model import Succeeded
from beacon_cli.results import Standings

if TYPE_CHECKING:  # what this room is for is to import it elsewhere
    from beacon_cli.evidence.readings import Kind, Reader

_SWITCH = 0.0005
"""Seconds after which the thread lets the event loop go on, in place of five thousandths: every wait costs one."""
_EVERY = 0.1
"""Seconds between two looks at which answers have come."""


class Ahead:
    """Begins with the first call of several: before its answer there is the least to do. A `ports.Listener`."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._reader: Reader | None = None
        self._over = Event()
        self._answers: SimpleQueue[tuple[str, str, Succeeded]] = SimpleQueue()
        self._counts: dict[tuple[str, str], Counter[Kind]] = {}

    def reader(self) -> Reader | None:
        """What reads the answers, once it is ready; None if the end has to make its own."""
        self._end()
        return self._reader

    def counts(self, standings: Standings) -> dict[tuple[str, str], Counter[Kind]] | None:
        """How the answers read, by region and model in the job's order, at the end of a run that stands so.

        None unless there is an answer to every execution, and each came while this listened.
        """
        self._end()
        run, seen = standings.run, sum(count.total() for count in self._counts.values())
        if run is None or seen != standings.planned or seen != standings.total("succeeded"):
            return None
        order = [(region.id, model.id) for region in run.spec.regions for model in run.spec.models]
        return {cell: self._counts[cell] for cell in order if cell in self._counts}

    def _end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    async def handle(self, event: ev.Event, standings: Standings) -> None:
        """See `ports.Listener.handle`; never waits."""
        if self._thread is None:
            if isinstance(event, ev.CallPlaced) and standings.planned > 1:
                self._thread = Thread(target=self._work, name="ahead", daemon=True)
                self._thread.start()
        elif isinstance(event, ev.AttemptSucceeded):
            progress = standings.executions[event.execution]
            self._answers.put((progress.region, progress.model, event.answer))

    def _work(self) -> None:
        self._make()
        while self._reader is not None and not (self._over.wait(_EVERY) and self._answers.empty()):
            with suppress(Exception):  # one that is not counted will be missing, and all are read at the end
                self._read(self._reader)

    def _read(self, reader: Reader) -> None:
        """Read what has come, and let the event loop go first after each."""
        while not self._answers.empty():
            region, model, answer = self._answers.get()
            row = {"response": answer.response, "cut_from": answer.cut_from, "provenance": answer.provenance}
            kind = reader.read_row(row).kind
            self._counts.setdefault((region, model), Counter())[kind] += 1
            time.sleep(0)

    def _make(self) -> None:
        usual = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH)
        try:
            with suppress(Exception):  # the end meets it again, and says so
                from beacon_cli.operations import looking, noting, timing  # noqa: F401 - so that they are there

                self._reader = wiring.reader(wiring.settings())
        finally:
            sys.setswitchinterval(usual)
