"""Pools of containers on an emulator of a test's own, and what is seen of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from tests.contracts.executing import (
    CELLS,
    CLASS_FORM,
    DEPLOYED,
    PATIENT,
    SPEED,
    on_modal,
)

from beacon_cli.behaviour import timing
from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.behaviour.script import Effect, Rule, Script
from beacon_cli.emulator import server
from beacon_cli.emulator.provider import Settings
from beacon_cli.executors.modal import ModalExecutor
from beacon_cli.model import (
    Execution,
    ModalTarget,
    PoolStanding,
    Window,
)
from beacon_cli.ports import Containers

HANGING = Script(rules=(Rule(effect=Effect.HANG),))
EMPTY = PoolStanding(alive=0, running=0, backlog=0)
IDLE = PoolStanding(alive=1, running=0, backlog=0)
AT_ONCE = timing.Timings(boot=(0.0, 0.0))
NEVER = timing.Timings(boot=(1e9, 1e9))
"""Containers that are there at once, and such as go on starting."""


@asynccontextmanager
async def opened(
    target: ModalTarget = CLASS_FORM,
    *,
    script: Script | None = None,
    timings: timing.Timings = AT_ONCE,
    scaling: Scaling = PATIENT,
    gpus: int = 1000,
    ledger: Path | None = None,
) -> AsyncIterator[ModalExecutor]:
    """An executor on an emulator of its own, prepared. The emulator's own limit on GPUs hides nothing."""
    settings = Settings(speed=SPEED, script=script or Script(), timings=timings, scaling=scaling, gpus=gpus)
    with server.running(settings, ledger=ledger, apps=DEPLOYED) as address:
        async with on_modal(address, target) as executor:
            await executor.prepare(CELLS)
            yield executor


async def place(executor: ModalExecutor, execution: Execution) -> str:
    """Place a call, and leave it to itself."""
    ids: list[str] = []
    with anyio.CancelScope() as waiting:

        async def placed(call_id: str) -> None:
            ids.append(call_id)
            waiting.cancel()

        await executor.attempt(execution, 1, placed)
    return ids[0]


async def seen(containers: Containers, pool: str, wanted: Callable[[PoolStanding], bool]) -> PoolStanding:
    """The first standing of this kind."""
    with anyio.fail_after(10):
        while True:
            standing = await containers.standing(pool)
            if standing is not None and wanted(standing):
                return standing
            await anyio.sleep(0.005)


async def asked_everything(containers: Containers, pool: str) -> list[object]:
    """What every question about a pool is answered with."""
    return [
        await containers.standing(pool),
        await containers.window(pool),
        await containers.cool(pool),
        await containers.rewarm(pool, Window(seconds=60)),
    ]
