"""The port of the queue's store; see `ports`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

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


class Store(Protocol):
    """Where the queue is kept: one for all who share the workspace's GPUs. `tickets` holds its words.

    Each operation is atomic and durable when it returns, follows `granting`, and is told in the log. None of them
    waits for anybody's turn. All block the thread that calls them, and any thread may call them. A process names
    itself by `holder`. Every operation may raise `StoreError`: the store cannot be reached, is full or damaged, or
    was written by a newer beacon; then nothing is known to have happened, and who holds a lease must not trust it
    beyond its time.
    """

    @property
    def poll_seconds(self) -> float:
        """Seconds after which whoever may be served next asks again: a turn is taken so long after it is free."""

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
        request, or is being reclaimed. The same holder asking again gets what it has; one whose lease was
        cancelled and is being reclaimed is refused.
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
        Its holder may be asleep: a ticket that waited is there for a week, without counting as one that waits, and
        whoever resumes the run gets another.
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

    def failures(self, run_id: str = "", region: str = "") -> tuple[FailedExecution, ...]:
        """The executions that failed for good and have not been asked again with success, the oldest first.

        Those of this run in this region, or of all. Of very many, those are forgotten that were told longest ago.
        """

    def set_aside(self) -> dict[str, tuple[str, ...]]:
        """The runs that are refused for the holders they have lost, each with its regions."""

    def snapshot(self, most: int | None = None) -> Snapshot:
        """The whole queue, as it is now; of those that wait in a region the first `most`, and how many more."""

    def log(self, since: int = 0) -> Iterable[LogEntry]:
        """What happened, in order, after the entry with this number."""
