"""The ports: what the engine needs from the world outside, as Protocols. The contract stands in the docstrings.

`tests/contracts` holds every adapter against it. Knows `model` and `events`; no adapter is known here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

from beacon_cli.events import Event
from beacon_cli.model import Deployed, Execution, Model, Outcome, PoolStanding, Region, Window
from beacon_cli.results import Standings
from beacon_cli.tickets import (
    Answer,
    Caps,
    Entrance,
    FailedExecution,
    LogEntry,
    Order,
    Part,
    Request,
    Snapshot,
    Ticket,
    Warm,
)

Placed: TypeAlias = Callable[[str], Awaitable[None]]
"""Called by an executor with the remote call's id; returns once the id is on disk."""

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
        self, region: Region, model: Model, placed: Placed, may_place: MayPlace = always
    ) -> Outcome | None:
        """See to it that a container of the pair's pool serves, by a call that asks nothing of the model.

        `placed` and `may_place` as in `Executor.attempt`; a request that has no id needs neither. Takes as long as
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


class Store(Protocol):
    """Where the queue is kept: one for all who share the workspace's GPUs. `tickets` holds its words.

    Each operation is atomic and durable when it returns, follows `granting`, and is told in the log. None of them
    waits for anybody's turn. All block the thread that calls them, and any thread may call them. A process names
    itself by `holder`. Every operation may raise `StoreError`: the store cannot be reached, is full or damaged, or
    was written by a newer beacon; then nothing is known to have happened, and who holds a lease must not trust it
    beyond its time.
    """

    def close(self) -> None:
        """Let go of files and connections. The store may not be used after."""

    def begin(self) -> bool:
        """Somebody vouches for it that no container of before lives, though the store is new or lost its data.

        Turns are then given as soon as no lease of before can last. False: it was not waiting for that.
        """

    def agree(self, caps: Caps) -> Caps:
        """The caps that the store keeps; the first who comes sets them. They are given back as they are kept."""

    def set_caps(self, caps: Caps) -> None:
        """Set other caps.

        Raises:
            QueueError: somebody has a turn or waits.
        """

    def enter(self, request: Request) -> Entrance:
        """Take a ticket, or take up the one that the same run has in the region.

        A ticket that is taken up gets the new holder and keeps its place and its calls; with its turn it gets a
        new token too. A lease whose holder never gave it back counts as one more holder that the run has lost
        there, in a row: those of before do not count if an execution has ended since, as `note` said or as fewer
        executions say than the lease was asked for. After `POISON` of them the run is refused until `release`. A
        holder that enters is not lost, whatever was made of its lease while it stood still. Refused, too, is what
        could never be granted: more GPUs than the caps, more executions than a user may ask in an hour. A user who
        has as many runs waiting as the caps allow gets `NotYet`; so does a run whose lease is too small for the
        request, or is being reclaimed. The same holder asking again gets what it has.
        """

    def claim(self, ticket: int, holder: str) -> Answer:
        """Ask for the turn; given when `granting.Scene.judge` says so, and given again if it has been granted.

        Warm pools that the ticket takes over count as reserved by it from then on. A ticket that was cancelled
        while it waited is gone once its holder has been told. A lease that is being reclaimed is nobody's turn.
        """

    def renew(self, holder: str) -> tuple[Order, ...]:
        """Renew everything of this holder for `Caps.lease_seconds` from now; says what there is.

        A lease that was late is renewed too, unless another process has begun to reclaim it: then it is not told.
        """

    def hold(self, ticket: int, token: int, pools: Mapping[str, int]) -> bool:
        """From now on the lease reserves its GPUs for these pools. False: it is no lease any more.

        Raises:
            QueueError: the pools may hold more GPUs than the lease was granted. Nothing has changed.
        """

    def note(
        self,
        ticket: int,
        token: int,
        *,
        placed: Collection[str] = (),
        ended: Collection[str] = (),
        question: str | None = None,
        working: Collection[str] | None = None,
        progressed: bool = False,
    ) -> bool:
        """Calls placed and ended under a lease, and what it is at where that changed. False: no lease any more.

        `progressed`: executions have come to their end; the holders that the run has lost so far do not count.
        """

    def leave(self, ticket: int, token: int, part: Part, warm: Mapping[str, int]) -> bool:
        """Give a turn back; these pools may have containers still. False: it is no lease any more.

        A ticket that waits (token 0) leaves without counting as done.
        """

    def abandon(self, ticket: int, token: int) -> bool:
        """Leave a lease, with its calls, to whoever reclaims it, at once. False: it is no lease any more.

        Its holder has done nothing under it, and does not count as lost.
        """

    def cancel(self, run_id: str, region: str | None, by: str) -> tuple[str, ...]:
        """Ask a run to end in a region or in all; gives the regions in which it had a ticket.

        A ticket that waits is never granted any more; its holder is told at the next claim, a lease's at renewal.
        """

    def pause(self, region: str, *, paused: bool) -> None:
        """Grant no turn in the region any more, or again. Turns that are held go on."""

    def reclaim(self, ticket: int, holder: str) -> Ticket | None:
        """Take over the duty to end what a dead lease left behind. None: it is not dead, or another has the duty.

        From here on its old token is void. Whoever has the duty renews it like a ticket.
        """

    def reclaimed(self, ticket: int, holder: str, warm: Mapping[str, int]) -> bool:
        """All calls of a dead lease are known to have ended: free its GPUs but those of these pools.

        Its holder counts as lost by its run, see `enter`. False: the duty is no longer this holder's.
        """

    def gone(self, idle: Warm) -> None:
        """The containers of a warm pool are known gone: free its GPUs.

        Not if the pool has been taken over since it was looked at, even if it is warm again: `idle` is what was
        told then.
        """

    def release(self, run_id: str) -> bool:
        """Forget the holders that a run has lost. False: it had lost none."""

    def failures(self) -> tuple[FailedExecution, ...]:
        """The executions that failed for good and have not been asked again with success, the oldest first."""

    def set_aside(self) -> dict[str, tuple[str, ...]]:
        """The runs that are refused for the holders they have lost, each with its regions."""

    def snapshot(self, most: int | None = None) -> Snapshot:
        """The whole queue, as it is now; of those that wait in a region the first `most`, and how many more."""

    def log(self, since: int = 0) -> Iterable[LogEntry]:
        """What happened, in order, after the entry with this number."""


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
