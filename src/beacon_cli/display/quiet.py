"""No display: for `--quiet`, where the summary and errors alone are shown."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from beacon_cli.events import Event
from beacon_cli.results import Standings


class Quiet:
    """The `Display` port over nothing."""

    async def __aenter__(self) -> Self:
        """Nothing to open."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Nothing to close."""

    async def handle(self, event: Event, standings: Standings) -> None:
        """Nothing to show."""
