from __future__ import annotations

import anyio
from tests.support import virtual

from beacon_cli.slots import Slots


def test_the_lowest_order_is_served_first() -> None:
    """Of those who wait, the one earliest in the order gets the slot, not the one who asked first."""
    served: list[int] = []

    async def main() -> None:
        slots = Slots(1)

        async def work(order: int) -> None:
            async with slots.slot(order):
                served.append(order)
                await anyio.sleep(1)

        async with anyio.create_task_group() as group:
            for order in (5, 9, 2, 7, 1):
                group.start_soon(work, order)

    virtual.asyncio(main)
    assert served == [5, 1, 2, 7, 9]


def test_who_stops_waiting_takes_no_slot() -> None:
    """A waiter that is cancelled, also in the moment of its turn, leaves the slot to the next."""
    served: list[int] = []

    async def main() -> None:
        slots = Slots(1)

        async def work(order: int, patience: float) -> None:
            with anyio.move_on_after(patience):
                async with slots.slot(order):
                    await anyio.sleep(10)
                    served.append(order)

        async with anyio.create_task_group() as group:
            for order, patience in ((1, 100.0), (2, 5.0), (3, 10.0), (4, 100.0)):
                group.start_soon(work, order, patience)
        async with slots.slot(5):
            served.append(5)

    virtual.asyncio(main)
    assert served == [1, 4, 5]
