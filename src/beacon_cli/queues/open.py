"""A queue without waiting, for executors that hold no GPU of the workspace. Knows of no other run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import anyio

from beacon_cli.model import Model, Region


class OpenTurn:
    """A turn that nobody takes away; see `ports.Turn`."""

    async def over(self) -> NoReturn:
        """See `ports.Turn.over`: never."""
        await anyio.sleep_forever()
        raise AssertionError("nobody wakes this")

    def holds(self) -> bool:
        """See `ports.Turn.holds`: always."""
        return True

    async def admit(self, models: Sequence[Model], *, fresh: bool) -> None:
        """See `ports.Turn.admit`: at once."""

    @property
    def prewarms(self) -> bool:
        """See `ports.Turn.prewarms`: nothing has to start."""
        return False

    async def warm(self, model: Model) -> None:
        """See `ports.Turn.warm`."""


class OpenQueue:
    """See `ports.Queue`."""

    @asynccontextmanager
    async def turn(
        self,
        region: Region,  # noqa: ARG002 - the port's form
        models: Sequence[Model],  # noqa: ARG002
        executions: int,  # noqa: ARG002
    ) -> AsyncIterator[OpenTurn]:
        """See `ports.Queue.turn`."""
        yield OpenTurn()
