"""The words of the queue: tickets, caps, and what a store answers. Frozen records; reads no clock.

Two kinds of time stand in them: `…_at` is seconds since the Unix epoch, for people; `expires` and `rank` are
seconds of the store's own clock, which no process's wall clock can bend.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from beacon_cli.priming import prime

POISON = 3
"""So many holders in a row, with nothing done between, a run may lose in a region: then it is set aside there."""


class Priority(StrEnum):
    """How urgent a run is. The queue serves first come, first served within equals."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


STEPS = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}
"""How many times `Caps.ageing` a ticket stands further back than its time of entry says."""


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """What the workspace allows: GPUs over all regions and in one, jobs at once in a region, and for each user.

    A lease ends unless it is renewed within `lease_seconds`. `ageing` is how many seconds of waiting make up for
    one step of priority. None: no limit. `executions_per_hour` counts what a user's turns may ask. A store that
    may have lost its data serves nobody for `quarantine_seconds` beyond the leases: as long as containers of which
    it does not know may live.
    """

    gpus_total: int = 10
    gpus_per_region: int = 3
    jobs_at_once: int = 1
    lease_seconds: float = 30.0
    ageing: float = 900.0
    jobs_waiting: int | None = None
    jobs_running: int | None = None
    executions_per_hour: int | None = None
    quarantine_seconds: float = 1800.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a run asks a region's queue for.

    `holder` names the process, unlike any other ever; `pools` gives the GPUs that each pool of containers may
    hold, of those that live at once; `executions` is how many are pending in the region, `models` are their
    models.
    """

    run_id: str
    job_id: str
    region: str
    user: str
    holder: str
    pools: dict[str, int]
    executions: int
    models: tuple[str, ...]
    priority: Priority = Priority.NORMAL

    @property
    def gpus(self) -> int:
        """How many GPUs the turn reserves."""
        return sum(self.pools.values())


class TicketState(StrEnum):
    """Where a ticket stands."""

    WAITING = "waiting"
    HOLDING = "holding"
    """It has its turn: it is a lease."""
    RECLAIMING = "reclaiming"
    """Its holder is gone; another process ends what it left behind. Its GPUs are not free before that."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A run's place in one region's queue. With its turn it is a lease: `token` tells it from all leases before.

    `gpus` and `pools` are what it reserves now, `rank` its place (lowest first, then `id`), `calls` the remote
    calls in flight, `cancelled_by` who asked it to end (empty: nobody).
    """

    id: int
    run_id: str
    job_id: str
    region: str
    user: str
    holder: str
    priority: Priority
    state: TicketState
    gpus: int
    pools: dict[str, int]
    executions: int
    models: tuple[str, ...]
    rank: float
    expires: float
    entered_at: float
    started_at: float | None = None
    token: int = 0
    calls: tuple[str, ...] = ()
    question: str = ""
    working: tuple[str, ...] = ()
    """The models in flight."""
    cancelled_by: str = ""
    worker: str = ""
    """The holder whose death counts against the run if the lease is reclaimed; empty: nobody's."""

    @property
    def is_active(self) -> bool:
        """Whether GPUs are reserved for it."""
        return self.state is not TicketState.WAITING


class Warm(msgspec.Struct, frozen=True, kw_only=True):
    """A pool whose containers may still live, with nobody's turn: its GPUs count until they are known gone."""

    region: str
    pool: str
    gpus: int
    since: float


class Why(StrEnum):
    """What a ticket waits for."""

    TURN = "turn"
    PAUSED = "paused"
    USER = "user"
    """One of the limits of its user."""
    GPUS = "gpus"
    """GPUs in its region."""
    TOTAL = "total"
    """GPUs of the workspace."""
    NEW_STORE = "new store"
    """The store is new, was restarted or lost its data: nobody is served until what was before must have ended."""


class Entered(msgspec.Struct, frozen=True):
    """The run has a ticket in the region. With a `token` it has its turn already: it took up its own lease."""

    ticket: int
    token: int = 0


class NotYet(msgspec.Struct, frozen=True):
    """No ticket now, for this reason; ask again later. `dead` are tickets that have to be reclaimed before."""

    reason: str
    dead: tuple[int, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """No ticket, now or later, for this reason."""

    reason: str


class Granted(msgspec.Struct, frozen=True):
    """The ticket has its turn. Whatever the holder says to the store carries the token."""

    token: int


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """The ticket has `position` (from 1) in its region and waits for `why`, in words `reason`.

    `cool` are pools whose idle containers stand in its way, `dead` the tickets of holders that are gone: who waits
    is to end them.
    """

    position: int
    why: Why
    reason: str
    cool: tuple[Warm, ...] = ()
    dead: tuple[int, ...] = ()


class Unknown(msgspec.Struct, frozen=True):
    """There is no such ticket any more: nobody renewed it in time, or somebody (`cancelled_by`) cancelled it."""

    cancelled_by: str = ""


Entrance: TypeAlias = Entered | NotYet | Refused
Answer: TypeAlias = Granted | Waiting | Unknown


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a renewal says of one ticket of a holder: still there, and who asked it to end, if anybody did."""

    ticket: int
    region: str
    state: TicketState
    token: int
    cancelled_by: str = ""


class HowEnded(StrEnum):
    """How a run's part in a region ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    """Not every execution has its answer."""
    CANCELLED = "cancelled"


class FailedExecution(msgspec.Struct, frozen=True, kw_only=True):
    """An execution that failed for good; `beacon retry` asks it again."""

    run_id: str
    execution: str
    region: str
    model: str
    question: str
    kind: str
    message: str
    at: float


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A run's part in a region, as it ended: counts of executions, wall time (s) since its turn came."""

    how: HowEnded
    succeeded: int
    failed: int
    seconds: float
    failures: tuple[FailedExecution, ...] = ()


class Service(msgspec.Struct, frozen=True):
    """How long a turn of the past took: this many executions in so many seconds."""

    executions: int
    seconds: float


class RegionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One region's queue: who has its turn, who waits in order, what is warm, what was done.

    `completed` and `failed` count runs' parts, `succeeded_executions` and `failed_executions` executions;
    `services` are the turns of the past, the newest last.
    """

    region: str
    active: tuple[Ticket, ...] = ()
    waiting: tuple[Ticket, ...] = ()
    more: int = 0
    """How many wait after these."""
    warm: tuple[Warm, ...] = ()
    paused: bool = False
    completed: int = 0
    failed: int = 0
    succeeded_executions: int = 0
    failed_executions: int = 0
    services: tuple[Service, ...] = ()
    held: dict[int, str] = {}
    """Those of `waiting`, by number, that a limit of their user holds back by now: others pass them. Says why."""

    @property
    def queue_size(self) -> int:
        """How many wait."""
        return len(self.waiting) + self.more

    @property
    def gpus(self) -> int:
        """How many GPUs count as in use: reserved by turns, or held by containers that are not known gone."""
        return sum(each.gpus for each in self.active) + sum(each.gpus for each in self.warm)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The whole queue at one moment: `at` for people, `now` on the store's clock.

    For `quiet` seconds more nobody is served: see `Why.NEW_STORE`.
    """

    at: float
    now: float
    caps: Caps
    regions: dict[str, RegionLine]
    quiet: float = 0.0


class LogKind(StrEnum):
    """What happened in the queue."""

    CAPS = "caps"
    ENTERED = "entered"
    INHERITED = "inherited"
    """A resumed run took its own ticket or lease up again."""
    GRANTED = "granted"
    POOLS = "pools"
    """A lease changed the pools that it reserves."""
    LEFT = "left"
    EXPIRED = "expired"
    """A ticket that waited was not renewed in time and lost its place."""
    RECLAIMING = "reclaiming"
    RECLAIMED = "reclaimed"
    WARM_GONE = "warm_gone"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    UNPAUSED = "unpaused"
    STANDING = "standing"
    """How something stands where the log may begin: caps, a paused region, a ticket or a warm pool."""
    SET_ASIDE = "set_aside"
    RELEASED = "released"


class LogEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the queue's own log, from which `beacon queue check` proves caps and order.

    `gpus` and `pools` are what the ticket reserves from here on; `warm` what a leaving ticket leaves warm;
    `passed` are waiting tickets of an earlier rank that a grant passed over, each held back by its user's limits.
    """

    seq: int
    at: float
    kind: LogKind
    region: str = ""
    ticket: int = 0
    run_id: str = ""
    rank: float = 0.0
    gpus: int = 0
    pools: dict[str, int] = {}
    warm: dict[str, int] = {}
    passed: tuple[int, ...] = ()
    token: int = 0
    detail: str = ""
    caps: Caps | None = None


prime(Caps, Ticket, Warm, Waiting, Order, FailedExecution, LogEntry)
