"""A server in a thread and event loop of its own, beside whoever asks it. Knows nothing of what is served."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Generic, TypeVar

Served = TypeVar("Served")


class _Aside(Generic[Served]):
    """What the thread hands over, and how it is told to end."""

    def __init__(self, serving: AbstractAsyncContextManager[Served]) -> None:
        self._serving = serving
        self._told: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.started = threading.Event()
        self.served: list[Served] = []
        self.failure: BaseException | None = None

    def work(self) -> None:
        """The thread's whole life."""
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            self.failure = error
        finally:
            self.started.set()

    async def _serve(self) -> None:
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        async with self._serving as served:
            self.served.append(served)
            self.started.set()
            await self._told.wait()

    def end(self) -> None:
        """Have it end, from any thread; one that has ended by itself is none the worse."""
        if self._loop is not None and self._told is not None:
            with suppress(RuntimeError):  # its event loop is closed
                self._loop.call_soon_threadsafe(self._told.set)


@contextmanager
def beside(serving: AbstractAsyncContextManager[Served], name: str) -> Iterator[Served]:
    """Serve from a thread of this name for as long as the body lasts; gives what `serving` gives.

    What it raises, at its start or at its end, is raised here.
    """
    aside = _Aside(serving)
    thread = threading.Thread(target=aside.work, name=name, daemon=True)
    thread.start()
    aside.started.wait()
    if not aside.served:
        thread.join()
        raise aside.failure or RuntimeError(f"{name} gave nothing")
    try:
        yield aside.served[0]
    finally:
        aside.end()
        thread.join()
    if aside.failure is not None:
        raise aside.failure
