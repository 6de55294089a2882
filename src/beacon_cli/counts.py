"""The parts of the standings: where an execution and a region stand, and what is counted. Pure records.

Only `results.Standings` changes them; how they follow from events is said there.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from beacon_cli.model import ErrorKind


class State(StrEnum):
    """Where an execution that has begun stands."""

    RUNNING = "running"
    WAITING = "waiting"
    """It failed and is tried again later."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """It was stopped without an outcome: pending, if the run is resumed."""
    PENDING = "pending"
    """It began and was left, as its region was given up or its run was resumed; its turn may come again."""


class RegionState(StrEnum):
    """Where a region stands."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPED = "stopped"
    """Somebody cancelled its part of the run."""
    GIVEN_UP = "given up"
    FINISHED = "finished"


class Progress(msgspec.Struct, kw_only=True, gc=False):
    """Where one execution stands. `call_id` is the newest call's id."""

    region: str
    model: str
    question: str
    context: str | None
    repeat: int
    state: State
    attempts: int
    queued_at: float
    started_at: float
    call_id: str | None = None
    unanswered: bool = False
    """Of that call no outcome is known: it may have its answer, also if it was cancelled since."""
    until: float | None = None
    """While `WAITING`: when it is tried again."""
    failure: ErrorKind | None = None
    """While `FAILED`: of which kind."""


class RegionStanding(msgspec.Struct, kw_only=True):
    """The counts of one region. `cold` and `warm` count answers that said how their container was."""

    id: str
    planned: int
    state: RegionState = RegionState.QUEUED
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    retries: int = 0
    cold: int = 0
    warm: int = 0
    reason: str = ""
    position: int | None = None
    """While `QUEUED`: its place in the region's queue, from 1; 0: not in it yet."""
    starts_at: float | None = None
    """While `QUEUED`: when its turn is expected."""
    slots: int | None = None
    """How many may be in flight, where that has changed since the region started."""
    started_at: float | None = None
    question: str = ""
    """The question begun last."""
    ended_at: float | None = None
    """When an execution ended last, in success or for good."""
    paced_from: float | None = None
    """When a model's first execution ended last: from here on, no cold start slows the region."""
    paced: int = 0
    """Executions that have ended since `paced_from`."""

    @property
    def ended(self) -> int:
        """Executions that will not change any more in this run."""
        return self.succeeded + self.failed + self.skipped


class CellStanding(msgspec.Struct, kw_only=True):
    """The counts of one model in one region. Made when its first attempt starts."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    retries: int = 0
    cold: int = 0
    warm: int = 0
    seconds: float = 0.0
    """The sum over answers of the attempt that gave it."""
    slowest: float = 0.0


class FailureStanding(msgspec.Struct, kw_only=True):
    """How many executions failed for good with one kind of error, and the newest of them as an example."""

    count: int = 0
    region: str = ""
    model: str = ""
    question: str = ""
    message: str = ""


class Recovery(msgspec.Struct, kw_only=True):
    """What resuming found: calls placed before, and what became of them."""

    reattached: int = 0
    recovered: int = 0
    """Re-attached calls that gave their answer: paid for once, not asked again."""
    gone: int = 0
    """Re-attached calls that the provider no longer knows, or that had been cancelled: asked again."""
    may_have_run: int = 0
    """Attempts of which only the intent was on disk: nobody knows whether a call was placed; asked again."""
