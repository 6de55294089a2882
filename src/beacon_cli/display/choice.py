"""Which displays a run has. Knows the displays and what the streams are; imports the live one where it is used.

Progress is for people and goes to stderr: live on a terminal, plain lines elsewhere. stdout is kept for what a
command gives: the summary at the end, or with `--json` the lines for programs, so that both can be piped on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import IO, Self

from rich.console import Console

from beacon_cli.display.jsonl import JsonLines
from beacon_cli.display.plain import Plain
from beacon_cli.events import Event
from beacon_cli.ports import Display
from beacon_cli.results import Standings


class Displays:
    """Several displays, or none, as one."""

    def __init__(self, *displays: Display) -> None:
        self._displays = displays
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for display in self._displays:
            await self._open.enter_async_context(display)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._open.__aexit__(kind, error, at)

    async def handle(self, event: Event, standings: Standings) -> None:
        """Tell each of them."""
        for display in self._displays:
            await display.handle(event, standings)


def choose(
    stdout: IO[str],
    stderr: Console,
    *,
    json: bool = False,
    quiet: bool = False,
    now: Callable[[], float] = time.time,
) -> Displays:
    """The displays of a run: `json` adds lines for programs on `stdout`, `quiet` leaves out progress.

    With both streams on a terminal, JSON lines and a live picture would paint over each other: progress is plain.
    """
    displays: list[Display] = [JsonLines(stdout)] if json else []
    if quiet:
        return Displays(*displays)
    can_paint = stderr.is_terminal and not stderr.is_dumb_terminal and not stderr.legacy_windows
    if can_paint and not (json and stdout.isatty()):
        from beacon_cli.display.live import Live

        return Displays(*displays, Live(stderr, now=now))
    return Displays(*displays, Plain(stderr.file, now=now))
