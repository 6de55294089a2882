"""The bridge to the SDK's event loop, which it keeps in a thread of its own: how its coroutines are awaited.

Cancellations go over once and are waited for; what was raised over there ends nothing here. Knows no RPC.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import anyio

from beacon_cli.executors.modal.border import Escaped, words


async def theirs(work: Coroutine[Any, Any, Any]) -> Any:
    """Await a coroutine that crosses into the SDK's own loop.

    A cancellation is passed on exactly once and then waited for. anyio would repeat it until the task gives way,
    which the SDK's bridge between the loops does not survive without leaving a future behind.
    """
    task = asyncio.ensure_future(_contained(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it
        raise


async def _contained(work: Coroutine[Any, Any, Any]) -> Any:
    """Keep what would end this process's event loop or cancel its tasks from doing so: it was raised elsewhere."""
    try:
        return await work
    except Exception:
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # nobody else: we were told to stop waiting
        raise Escaped(f"{type(error).__name__}: {words(error)}") from None
