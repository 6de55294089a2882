"""The queue's status as whoever shows it reads it: the record of `queue_form`, checked. Pure.

A record may come from a server, and is hostile until it has been read here. Of the fields only the original
system's have to be there, so that its own status can be shown too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import msgspec

from beacon_cli.priming import prime

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Executions: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A job may be of very many."""


class Gpus(msgspec.Struct, frozen=True, kw_only=True):
    """GPUs in use, those that stand idle among them, and how many there may be."""

    in_use: Count = 0
    idle: Count = 0
    limit: Count | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job that has its turn: what it asks now, and since when."""

    job_id: str
    queued_at: datetime | None = None
    started_at: datetime | None = None
    model: str = ""
    run_id: str = ""
    user: str = ""
    priority: str = ""
    models: tuple[str, ...] = ()
    question: str = ""
    executions: Executions = 0


class Waiter(msgspec.Struct, frozen=True, kw_only=True):
    """A job that waits, at its position from 1; None: nobody can say when its turn comes.

    `held` says which limit of its user holds it back.
    """

    position: Count
    job_id: str
    run_id: str = ""
    user: str = ""
    priority: str = ""
    expected_at: datetime | None = None
    executions: Executions = 0
    held: str | None = None


class Idle(msgspec.Struct, frozen=True, kw_only=True):
    """Containers that are warm and have nobody's turn."""

    pool: str
    gpus: Count
    since: datetime | None = None


class RegionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One region's queue."""

    region: str
    queue_size: Count
    processing: bool
    current_job: Job | None
    completed: Count
    failed: Count
    gpus: Gpus = Gpus()
    warm: tuple[Idle, ...] = ()
    paused: bool = False
    jobs: tuple[Job, ...] = ()
    reclaiming: tuple[str, ...] = ()
    waiting: tuple[Waiter, ...] = ()

    @property
    def working(self) -> tuple[Job, ...]:
        """The jobs that have their turn."""
        return self.jobs or ((self.current_job,) if self.current_job else ())


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The whole queue, at a moment if that was said. `set_aside` are refused runs, with their regions.

    Nobody is served before `quiet_until`.
    """

    queues: dict[str, RegionStatus]
    at: datetime | None = None
    gpus: Gpus = Gpus()
    set_aside: dict[str, tuple[str, ...]] = {}
    quiet_until: datetime | None = None


prime(Status)


def read(record: Any) -> Status:
    """The status that a record says.

    Raises:
        ValueError: it is no status of a queue; the message says where and why.
    """
    return msgspec.convert(record, type=Status)


def seconds_since(at: datetime | None, now: datetime | None) -> float | None:
    """How many seconds before `now` that was; None where one of them was not said."""
    return None if at is None or now is None else (_aware(now) - _aware(at)).total_seconds()


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
