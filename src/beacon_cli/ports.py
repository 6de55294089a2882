"""The ports: what the engine needs from the world outside, as Protocols. The contract stands in the docstrings.

`tests/contracts` holds every adapter against it. Knows `model` and `events`; no adapter is known here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from beacon_cli.events import Event
from beacon_cli.model import Execution, Model, Outcome, PoolStanding, Region, Window
from beacon_cli.results import Standings

Placed: TypeAlias = Callable[[str], Awaitable[None]]
"""Called by an executor with the remote call's id; returns once the id is on disk."""

Emit: TypeAlias = Callable[[Event], Awaitable[None]]
"""Says what happened. Returns once the event is on disk and every listener has been told."""


class Executor(Protocol):
    """Makes attempts. One for each run, open for as long as its owner's `async with` lasts."""

    async def prepare(self, cells: Iterable[tuple[Region, Model]]) -> None:
        """Resolve everything that these pairs will call, before anything starts.

        Raises:
            StartError: no credentials, an app that is not deployed, a provider that cannot be reached. One
                line names everything that is missing and says what to do.
        """

    async def attempt(self, execution: Execution, number: int, placed: Placed) -> Outcome:
        """Ask once and wait for the outcome, however long it takes: the engine owns the time limit.

        `placed(call_id)` is awaited exactly once, as soon as the provider has taken the call and before the
        wait, and cannot be skipped by a cancellation that comes between the two. An attempt that was never taken
        calls it not at all. Failures of the remote side are returned, never raised; what `placed` raises passes. A
        failure of the wait alone is `unsettled`: the call may still run. A cancellation leaves the remote call
        alone: `cancel` ends it.
        """

    async def collect(self, execution: Execution, call_id: str) -> Outcome:
        """Wait for the outcome of a call placed earlier, by this process or another. Asks nothing anew.

        A call that the provider no longer knows, or whose result has expired, is `Failed` with kind `gone`.
        """

    async def cancel(self, call_id: str) -> bool:
        """End a call, gently first, then with its container. True once the provider confirms that it ended.

        Cancelling a call that has ended is no error and True. Returns within about 5 s; raises nothing.
        """

    @property
    def containers(self) -> Containers | None:
        """The containers behind the cells, while the executor is open; None: it holds no GPU of the workspace."""


class Containers(Protocol):
    """The containers behind a run's cells, in pools. Each holds a GPU of the workspace while it lives.

    A pool is what scales by itself at the provider: one function, or one class with its parameters. It is known by
    a key: text that says everything needed to find the pool again from another process or machine. A key may come
    from a shared store and is hostile until shown otherwise; what is no key is a pool that cannot be asked.

    Nothing here raises, and each answer comes within about 10 s: a provider that cannot be asked is a value.
    """

    def pool(self, region: Region, model: Model) -> str:
        """The key of the pool that this pair calls: the same text for the same pool, in every run and process.

        Models that are asked through one function share its pool. Printable ASCII on one line.
        """

    async def standing(self, pool: str) -> PoolStanding | None:
        """How the pool stands now. None: the provider could not be asked, which says nothing about its GPUs."""

    async def window(self, pool: str) -> Window | None:
        """How long its containers stay warm now. None: the provider could not be asked.

        To be kept on disk before `cool`, so that whoever comes after a crash can put it back.
        """

    async def cool(self, pool: str) -> Window | None:
        """Let idle containers end as soon as the provider can: no minimum, and the least window that it takes.

        What runs is left alone. Gives the window that held before; of a pool that is cool already, the least one:
        the first is the one to keep. None: not known to be cool.
        """

    async def rewarm(self, pool: str, window: Window) -> bool:
        """Put a window back as it was. False: not known to be back."""


class Queue(Protocol):
    """Says who may work in a region now."""

    def turn(self, run_id: str, region: str) -> AbstractAsyncContextManager[None]:
        """Wait for the region's turn (first come, first served), hold it for the body, give it back after."""


class Journal(Protocol):
    """Keeps the events of one run."""

    async def append(self, event: Event) -> None:
        """Return once the event is on disk. The order of the calls is the order of the records.

        Shielded from cancellation: an event that was given is kept.

        Raises:
            StoreError: it could not be written; nothing after it will be.
        """


class Display(Protocol):
    """Shows a run while it goes on. Used as `async with display:` around the run; its owner closes it.

    It is told of each event after the journal has it. What cannot be shown (a closed pipe, a full disk behind a
    redirection) is dropped: the display goes quiet and the run goes on.
    """

    async def __aenter__(self) -> Self:
        """Open: from here on the display may write."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Write what is still to be written and leave the terminal clean, whatever ended the run."""

    async def handle(self, event: Event, standings: Standings) -> None:
        """`event` has happened and `standings` hold it. Raises nothing; waits only for a reader far behind.

        The same `standings` object is given each time; it is read here and between calls, never changed.
        """
