"""The live display: paints the run's picture on a terminal, four times a second.

The picture is drawn on the event loop, where the standings change, and written by the outlet's thread. A frame
goes out in one piece, over the frame before: only lines that changed are written. Cursor and line wrap are
switched off and on again within the frame, so that the terminal is in order between any two frames, whatever ends
the process. `rich.live` is not used: it erases before it draws, pads, and leaves frames behind on a resize.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from beacon_cli.display.aside import Asides
from beacon_cli.display.outlet import Outlet
from beacon_cli.display.picture import render
from beacon_cli.display.ticking import Ticking
from beacon_cli.display.words import ASCII, UNICODE
from beacon_cli.events import Event
from beacon_cli.results import Standings

_EVERY = 0.25
_ASLEEP = 3.0
"""Seconds without a tick after which the process was stopped, and the terminal may hold other text."""

_BEGIN = "\x1b[?25l\x1b[?7l\r"  # no cursor, no wrap, first column
_END = "\x1b[J\x1b[?7h\x1b[?25h"  # nothing below, wrap, cursor
_TO_LINE_END = "\x1b[K"


class Live:
    """A `Display` for a terminal. `console` says what the terminal can do and where it is."""

    def __init__(self, console: Console, *, now: Callable[[], float] = time.time) -> None:
        self._console = console
        self._now = now
        self._outlet = Outlet(console.file)
        self._asides = Asides()
        self._ticking = Ticking(self._paint, _EVERY)
        self._signs = ASCII if console.options.ascii_only else UNICODE
        self._standings: Standings | None = None
        self._painted: tuple[str, ...] = ()
        self._widths: tuple[int, ...] = ()
        self._width = 0
        self._ticked = time.monotonic()

    @property
    def failure(self) -> Exception | None:
        """Why the display went quiet; None while all is well."""
        return self._outlet.failure

    async def __aenter__(self) -> Self:
        self._ticked = time.monotonic()
        self._asides.catch()
        await self._ticking.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._ticking.stop()
        self._asides.release()
        self._paint(last=True)
        await self._outlet.finish()

    async def handle(self, event: Event, standings: Standings) -> None:  # noqa: ARG002  the port's form
        """Take note; the next frame shows it."""
        self._standings = standings

    def _paint(self, *, last: bool = False) -> None:
        asleep = time.monotonic() - self._ticked > _ASLEEP
        self._ticked = time.monotonic()
        # While the terminal is stopped, frames are left out rather than heaped up.
        if self._standings is None or self.failure or (self._outlet.behind and not last):
            return
        try:
            width, height = self._console.size
            lines = render(self._standings, self._now(), width, max(1, height - 1), self._signs)
            after = self._encoded(lines)
        except Exception as error:  # noqa: BLE001  a fault in drawing must not end a run that costs money
            self._asides.release()
            self._outlet.write("\n".join([*self._asides.take(), ""]))
            self._outlet.give_up(error)
            return
        if asleep:
            self._painted, self._widths = (), ()
        aside = self._asides.take()
        if aside or after != self._painted or width != self._width:
            self._outlet.write(self._frame([*aside, *after], width))
            self._painted, self._widths, self._width = after, tuple(line.cell_len for line in lines), width

    def _encoded(self, lines: Sequence[Text]) -> tuple[str, ...]:
        with self._console.capture() as capture:
            for line in lines:
                self._console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)
        return tuple(capture.get().split("\n")[:-1])

    def _frame(self, after: Sequence[str], width: int) -> str:
        if width == self._width:
            return repaint(self._painted, after)
        # A terminal that became narrower has wrapped the lines of the frame before: it takes more rows now.
        rows = sum(max(1, -(-cells // max(1, width))) for cells in self._widths)
        return repaint(("",) * rows, after, keep=False)


def repaint(before: Sequence[str], after: Sequence[str], *, keep: bool = True) -> str:
    """What turns the frame `before`, with the cursor in the line under it, into `after`.

    With `keep` False nothing of the frame before is taken to stand where it stood. What is left of it is erased
    below the new frame only: some terminals take an erasure from their first line on for a wish to scroll.
    """
    parts = [_BEGIN]
    if before:
        parts.append(f"\x1b[{len(before)}A")
    for number, line in enumerate(after):
        same = keep and number < len(before) and before[number] == line
        # Erased before it is written: after a line that fills the width the cursor stands on its last cell.
        parts.append("\n" if same else f"{_TO_LINE_END}{line}\n")
    return "".join([*parts, _END])
