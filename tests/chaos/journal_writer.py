"""Appends to a journal without end, from ten tasks, and says on stdout which appends have returned."""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path

import anyio

from beacon_cli import journal as journals
from beacon_cli.events import RegionFinished
from beacon_cli.ports import Journal


async def main(path: Path) -> None:
    """Never ends by itself."""
    numbers = count()

    async def work(journal: Journal) -> None:
        for number in numbers:
            await journal.append(RegionFinished(at=float(number), region="r" * (number % 500)))
            os.write(1, b"%d\n" % number)

    async with journals.create(path) as journal, anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(work, journal)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), backend=sys.argv[2])
