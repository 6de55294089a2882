"""The ports of a run: executor and containers, queue and turn, journal, listener, display; see `ports`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

import msgspec

from beacon_cli.events import Event
from beacon_cli.model import Deployed, Execution, Model, Outcome, PoolStanding, Region, Window
from beacon_cli.results import Standings

Placed: TypeAlias = Callable[[str], Awaitable[None]]
"""Called by an executor with the remote call's id; returns once the id is on disk."""
Begun: TypeAlias = Callable[[str | None], Awaitable[None]]
"""The same of a call that may have no id: None, where nothing can end it."""

Emit: TypeAlias = Callable[[Event], Awaitable[None]]
"""Says what happened. Returns once the event is on disk and every listener has been told."""


MayPlace: TypeAlias = Callable[[], bool]
"""Whether a request may leave at this moment. Any thread may ask; the answer comes at once."""


def always() -> bool:
    """There is nothing that a request would have to wait for."""
    return True


class Executor(Protocol):
    """Makes attempts. One for each run, open for as long as its owner's `async with` lasts."""

    async def prepare(self, cells: Iterable[tuple[Region, Model]]) -> None:
        """Resolve everything that these pairs will call, before anything starts.

        Raises:
            StartError: no credentials, an app that is not deployed, a provider that cannot be reached. One
                line names everything that is missing and says what to do.
        """

    async def attempt(
        self, execution: Execution, number: int, placed: Placed, may_place: MayPlace = always
    ) -> Outcome:
        """Ask once and wait for the outcome, however long it takes: the engine owns the time limit.

        Whose calls take GPUs of the workspace asks `may_place` as late as it can before the request leaves; what
        may not leave is `Failed` with kind `interrupted`, was not placed and may be tried again.

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


class Listing(NamedTuple):
    """The models that an endpoint says it has, in its own names; None: it does not say, for the reason `said`."""

    models: frozenset[str] | None
    said: str = ""


class Endpoints(Protocol):
    """The endpoints of a job, to be looked at without asking any question."""

    async def listed(self, region: Region) -> Listing:
        """Ask the region's endpoint for its models, with its key. Hostile until shown otherwise.

        Raises:
            StartError: no key, nobody there, or the key is refused: no run could start.
        """


class Containers(Protocol):
    """The containers behind a run's cells, in pools. Each holds a GPU of the workspace while it lives.

    A pool is what scales by itself at the provider: one function, or one class with its parameters. It is known by
    a key: text that says everything needed to find the pool again from another process or machine. A key may come
    from a shared store and is hostile until shown otherwise; what is no key is a pool that cannot be asked.

    Nothing here raises: a provider that cannot be asked is a value. Each answer but that of `wake` comes within
    about 10 s.
    """

    def pool(self, region: Region, model: Model) -> str:
        """The key of the pool that this pair calls: the same text for the same pool, in every run and process.

        Models that are asked through one function share its pool. Printable ASCII on one line.
        """

    def width(self, pool: str, inputs: int) -> int:
        """How many containers the pool has at most while so many of its inputs are in flight.

        One for a class with its parameters, which has to be deployed with `max_containers=1`; one for each input
        of a function, which scales as it likes.
        """

    async def standing(self, pool: str) -> PoolStanding | None:
        """How the pool stands now. None: the provider could not be asked, which says nothing about its GPUs."""

    async def window(self, pool: str) -> Window | None:
        """How long its containers stay warm now. None: the provider could not be asked.

        To be kept on disk before `cool`, so that whoever comes after a crash can put it back.
        """

    @property
    def coolest(self) -> Window:
        """The window that `cool` gives a pool: no minimum, and the least seconds that the provider takes."""

    async def cool(self, pool: str) -> Window | None:
        """Let idle containers end as soon as the provider can: no minimum, and the least window that it takes.

        What runs is left alone. Gives the window that held before; of a pool that is cool already, the least one:
        the first is the one to keep. None: not known to be cool.
        """

    async def rewarm(self, pool: str, window: Window) -> bool:
        """Set a window, or put it back as it was. False: not known to hold."""

    async def deployed(self, region: Region, model: Model) -> Deployed | None:
        """How what this pair calls is deployed. None: it is not there, or the provider could not be asked."""

    async def wake(
        self, region: Region, model: Model, placed: Begun, may_place: MayPlace = always
    ) -> Outcome | None:
        """See to it that a container of the pair's pool serves, by a call that asks nothing of the model.

        `placed` and `may_place` as in `Executor.attempt`; of a request that has no id `placed` is told None before
        it is sent, and `may_place` is asked then. Takes as long as
        a container takes to start: the caller owns the limit, and ends the call with `Executor.cancel`.
        `Succeeded` has an empty response, and what the container said of itself. None: nothing can be called there
        without asking the model.
        """


class Over(NamedTuple):
    """Why a turn ended before its work did; `final`: somebody asked for it, and the work is not to go on."""

    reason: str
    final: bool


class Turn(Protocol):
    """A region's turn, while it lasts."""

    async def over(self) -> Over:
        """Wait until the turn is over, if that comes before its work is done; says why."""

    def holds(self) -> bool:
        """Whether the turn is known to last, by a clock that counts the time in which the process stood still.

        Any thread may ask; the answer comes at once.
        """

    async def admit(self, models: Sequence[Model], *, fresh: bool) -> None:
        """Return once these models may have containers: at most as many as the region has GPUs.

        Containers of models admitted before and not now may have to end for it; with `fresh` all of them do, so
        that those of these models start anew.
        """

    @property
    def prewarms(self) -> bool:
        """Whether models that were admitted are to be warm before they are asked."""

    async def warm(self, model: Model) -> None:
        """Return once the model's container serves, or is known not to before it is asked. Raises nothing of it.

        A cancellation ends what was begun at the provider.
        """


class Queue(Protocol):
    """Says who may work in a region now. One for each run."""

    def turn(
        self, region: Region, models: Sequence[Model], executions: int
    ) -> AbstractAsyncContextManager[Turn | Over]:
        """Wait for the region's turn, hold it for the body, give it back after.

        Gives why there is none, where somebody cancelled it or the queue refuses it.

        Args:
            region: where.
            models: those that will be admitted first.
            executions: how many are pending there.

        Raises:
            StoreError: the store failed, and did not come back within a while.
        """


class Journal(Protocol):
    """Keeps the events of one run."""

    async def append(self, event: Event) -> None:
        """Return once the event is on disk. The order of the calls is the order of the records.

        Shielded from cancellation: an event that was given is kept.

        Raises:
            StoreError: it could not be written; nothing after it will be.
        """


class Listener(Protocol):
    """Is told of a run's events."""

    async def handle(self, event: Event, standings: Standings) -> None:
        """`event` is on disk and `standings` hold it. Whoever said it waits until this returns.

        The same `standings` object is given each time; it is read here and between calls, never changed.
        """


class Display(Listener, Protocol):
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


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment of an app: its number, counted from 1; when, by whom and with which tag, as it is said."""

    number: int
    at: str = ""
    by: str = ""
    tag: str = ""


class Deployer(Protocol):
    """Brings the apps of files to a provider, and calls what they are prepared with."""

    async def deploy(self, file: str) -> str:
        """Deploy the app of a file; the address of its page at the provider.

        Raises:
            StartError: the file cannot be run, or the provider does not take the app; the text says why.
        """

    async def call(self, app: str, function: str) -> Any:
        """Call a function of a deployed app without arguments; what it gave, unchecked.

        Raises:
            StartError: it cannot be called, or failed.
        """
