"""Which displays a run has. Knows the displays and what the streams are; imports the live one where it is used.

Progress is for people and goes to stderr: live on a terminal, plain lines elsewhere. stdout is kept for what a
command gives: the summary at the end, or with `--json` the lines for programs, so that both can be piped on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from beacon_cli.display.jsonl import JsonLines
from beacon_cli.display.plain import Plain
from beacon_cli.events import Event
from beacon_cli.ports import Display
from beacon_cli.results import Standings

if TYPE_CHECKING:  # plain lines do without Rich
    from rich.console import Console


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
    stderr: IO[str],
    console: Console | None = None,
    *,
    json: bool = False,
    quiet: bool = False,
    now: Callable[[], float] = time.time,
) -> Displays:
    """The displays of a run: `json` adds lines for programs on `stdout`, `quiet` leaves out progress.

    `console` is what `stderr` can be painted on by, None where it surely is no terminal.
    With both streams on a terminal, JSON lines and a live picture would paint over each other: progress is plain.
    """
    displays: list[Display] = [JsonLines(stdout)] if json else []
    if quiet:
        return Displays(*displays)
    if console is not None and _can_be_painted(console) and not (json and stdout.isatty()):
        from beacon_cli.display.live import Live

        return Displays(*displays, Live(console, now=now))
    return Displays(*displays, Plain(stderr, now=now))


def _can_be_painted(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal and not console.legacy_windows
