"""The life of containers: start cold, serve inputs, one at a time or several, idle, go away. Time is passed in.

Containers stand in pools, one pool for each function or class with its parameters. A pool serves its inputs first
come, first served, with at most `max_containers`. Over all pools the containers that live, idle and starting ones
included, hold at most the fleet's GPUs: a cold start waits for a free GPU, and pools wait in turn.

Whoever drives a fleet calls `advance(now)` no later than `next_at()`, and may be late: everything happens at its
own time all the same. Each call returns what happened since the last, in order. `now` never goes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from heapq import heappop, heappush
from math import inf
from typing import TypeAlias

import msgspec

UNBOUNDED = 1_000_000
"""As many containers as the GPUs allow."""


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """How a pool scales: `scaledown_window` is how long a container may stand idle, `gpus` what each one holds.

    `concurrent` is how many inputs a container takes at once. They do not slow each other down: an engine that
    answers several in one batch is limited by its memory first.
    """

    min_containers: int = 0
    max_containers: int = 1
    scaledown_window: float = 120.0
    gpus: int = 1
    concurrent: int = 1


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What an input will do once it has a container, in seconds from its start.

    `crash` takes the container down at the end; `preempt_after` takes it away once and starts the input again;
    a `stubborn` input ignores a gentle cancellation. Where a container takes several inputs, those that it has
    beside one that takes it down are started again elsewhere.
    """

    seconds: float
    timeout: float = inf
    crash: bool = False
    preempt_after: float | None = None
    stubborn: bool = False


class Ended(StrEnum):
    """How an input ended."""

    DONE = "done"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class Booted(msgspec.Struct, frozen=True):
    """A container has a GPU and begins to start, which takes `seconds`."""

    at: float
    container: str
    pool: str
    seconds: float


class Started(msgspec.Struct, frozen=True):
    """An input has its container. `cold`: it had to wait for this container's start."""

    at: float
    input: str
    container: str
    cold: bool
    boot: float


class Preempted(msgspec.Struct, frozen=True):
    """The input's container was taken away; the input is first in its pool's line again."""

    at: float
    input: str
    container: str


class Finished(msgspec.Struct, frozen=True):
    """An input has ended; `container` is None where it never had one."""

    at: float
    input: str
    container: str | None
    how: Ended


class Gone(msgspec.Struct, frozen=True):
    """A container has ended, and its GPU is free."""

    at: float
    container: str
    pool: str
    reason: str


_Timer: TypeAlias = tuple[float, int, str, int | str, str]
"""When, its number, the container, what it is about (an input by its id, else the container's turn), its kind."""

Happening: TypeAlias = Booted | Started | Preempted | Finished | Gone


class PoolStats(msgspec.Struct, frozen=True, kw_only=True):
    """How a pool stands: inputs that wait, containers that live (starting and idle ones too), inputs that run."""

    backlog: int
    containers: int
    running: int


class _Container(msgspec.Struct, kw_only=True):
    id: str
    pool: str
    boot: float
    gpus: int
    inputs: dict[str, None] = msgspec.field(default_factory=dict)
    serves: bool = False
    idle_since: float | None = None
    turn: int = 0
    """Raised at each change, so that timers of the container's own that were set before it are void."""


class _Pool(msgspec.Struct, kw_only=True):
    name: str
    scaling: Scaling
    backlog: deque[str] = msgspec.field(default_factory=deque)
    containers: dict[str, _Container] = msgspec.field(default_factory=dict)
    started: int = 0

    def running(self) -> int:
        return sum(len(container.inputs) for container in self.containers.values())

    def wanted(self) -> int:
        """How many more containers the pool would start now."""
        needed = -(-(self.running() + len(self.backlog)) // self.scaling.concurrent)
        demand = max(self.scaling.min_containers, needed)
        return min(self.scaling.max_containers, demand) - len(self.containers)


class Fleet:
    """All containers of one workspace.

    `boot_seconds(pool, nth)` says how long the `nth` container of a pool (from 1) takes to start.
    """

    def __init__(
        self, boot_seconds: Callable[[str, int], float], *, gpus: int = 10, scaling: Scaling | None = None
    ) -> None:
        self.gpus = gpus
        self.gpus_used = 0
        self._boot_seconds = boot_seconds
        self._scaling = scaling or Scaling()
        self._pools: dict[str, _Pool] = {}
        self._containers: dict[str, _Container] = {}
        self._hungry: dict[str, None] = {}
        self._work: dict[str, tuple[str, Work]] = {}
        self._where: dict[str, str] = {}
        self._timers: list[_Timer] = []
        self._booted = 0
        self._timed = 0
        self._log: list[Happening] = []

    def submit(self, pool: str, input_id: str, work: Work, now: float) -> list[Happening]:
        """Take an input into the pool's line."""
        self._run_to(now)
        self._work[input_id] = (pool, work)
        entry = self._pool(pool)
        entry.backlog.append(input_id)
        for container in entry.containers.values():
            if container.serves and len(container.inputs) < entry.scaling.concurrent:
                self._serve(container, now, cold=False)
                break
        self._feed(pool, now)
        return self._told()

    def cancel(self, input_id: str, now: float, *, terminate: bool = False) -> list[Happening]:
        """End an input; with `terminate` its container ends too. An input that has ended is no error."""
        self._run_to(now)
        if input_id in self._work:
            pool, work = self._work[input_id]
            held = self._where.get(input_id)
            if held is None:
                self._pools[pool].backlog.remove(input_id)
                self._end(input_id, None, Ended.CANCELLED, now)
            elif terminate:
                self._end(input_id, held, Ended.CANCELLED, now)
                self._take_down(self._containers[held], now, "terminated")
            elif not work.stubborn:
                self._end(input_id, held, Ended.CANCELLED, now)
                self._serve(self._containers[held], now, cold=False)
        return self._told()

    def scale(self, pool: str, scaling: Scaling, now: float) -> list[Happening]:
        """Change how a pool scales. Containers above a lowered maximum end as they fall idle long enough."""
        self._run_to(now)
        entry = self._pool(pool)
        entry.scaling = scaling
        for container in entry.containers.values():
            if container.idle_since is not None:
                container.turn += 1
                self._set_timer(max(now, container.idle_since + scaling.scaledown_window), "idle", container)
        self._feed(pool, now)
        return self._told()

    def scaling(self, pool: str) -> Scaling:
        """How the pool scales now."""
        return self._pool(pool).scaling

    def stats(self, pool: str) -> PoolStats:
        """How the pool stood after the last call."""
        entry = self._pool(pool)
        return PoolStats(backlog=len(entry.backlog), containers=len(entry.containers), running=entry.running())

    def advance(self, now: float) -> list[Happening]:
        """Let everything happen that was due until `now`."""
        self._run_to(now)
        return self._told()

    def next_at(self) -> float | None:
        """When the next thing is due; None: nothing will happen by itself."""
        while self._timers and self._is_void(self._timers[0]):
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _run_to(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            timer = heappop(self._timers)
            if not self._is_void(timer):
                at, _, name, about, kind = timer
                self._due(self._containers[name], about, kind, at)

    def _due(self, container: _Container, about: int | str, kind: str, at: float) -> None:
        if isinstance(about, str):
            self._stop(container, about, kind, at)
        elif kind == "ready":
            container.serves = True
            self._serve(container, at, cold=True)
        elif kind == "idle":
            pool = self._pools[container.pool]
            if len(pool.containers) > pool.scaling.min_containers:
                self._take_down(container, at, "idle")

    def _stop(self, container: _Container, input_id: str, kind: str, at: float) -> None:
        pool, work = self._work[input_id]
        if kind == "preempt":
            self._work[input_id] = (pool, msgspec.structs.replace(work, preempt_after=None))
            self._take_down(container, at, "preempted")
            return
        how = Ended.TIMED_OUT if kind == "timeout" else Ended.CRASHED if work.crash else Ended.DONE
        self._end(input_id, container.id, how, at)
        if how is Ended.DONE:
            self._serve(container, at, cold=False)
        else:
            self._take_down(container, at, str(how))

    def _serve(self, container: _Container, at: float, *, cold: bool) -> None:
        """Give the container the next inputs of its pool, as many as it takes, or let it stand idle."""
        pool = self._pools[container.pool]
        container.turn += 1
        container.idle_since = None
        while pool.backlog and len(container.inputs) < pool.scaling.concurrent:
            self._start(container, pool.backlog.popleft(), at, cold=cold)
        if not container.inputs:
            container.idle_since = at
            self._set_timer(at + pool.scaling.scaledown_window, "idle", container)

    def _start(self, container: _Container, input_id: str, at: float, *, cold: bool) -> None:
        container.inputs[input_id] = None
        self._where[input_id] = container.id
        work = self._work[input_id][1]
        self._log.append(Started(at, input_id, container.id, cold and container.boot > 0, container.boot))
        if work.preempt_after is not None and work.preempt_after < min(work.seconds, work.timeout):
            self._set_timer(at + work.preempt_after, "preempt", container, input_id)
        elif work.seconds <= work.timeout:
            self._set_timer(at + work.seconds, "done", container, input_id)
        else:
            self._set_timer(at + work.timeout, "timeout", container, input_id)

    def _end(self, input_id: str, container: str | None, how: Ended, at: float) -> None:
        del self._work[input_id]
        if container is not None:
            del self._containers[container].inputs[input_id]
            del self._where[input_id]
        self._log.append(Finished(at, input_id, container, how))

    def _take_down(self, container: _Container, at: float, reason: str) -> None:
        for input_id in reversed(container.inputs):
            del self._where[input_id]
            self._pools[container.pool].backlog.appendleft(input_id)
        self._log += [Preempted(at, input_id, container.id) for input_id in container.inputs]
        del self._containers[container.id]
        del self._pools[container.pool].containers[container.id]
        self.gpus_used -= container.gpus
        self._log.append(Gone(at, container.id, container.pool, reason))
        self._feed(container.pool, at)

    def _feed(self, pool: str, at: float) -> None:
        """Start the containers that pools wait for, in turn, as far as GPUs are free."""
        if self._pools[pool].wanted() > 0:
            self._hungry[pool] = None
        for name in list(self._hungry):
            entry = self._pools[name]
            while entry.wanted() > 0:
                if self.gpus_used + entry.scaling.gpus > self.gpus:
                    return
                self._boot(entry, at)
            del self._hungry[name]

    def _boot(self, pool: _Pool, at: float) -> None:
        pool.started += 1
        self._booted += 1
        seconds = self._boot_seconds(pool.name, pool.started)
        container = _Container(id=f"ta-{self._booted:06d}", pool=pool.name, boot=seconds, gpus=pool.scaling.gpus)
        pool.containers[container.id] = self._containers[container.id] = container
        self.gpus_used += container.gpus
        self._log.append(Booted(at, container.id, pool.name, seconds))
        self._set_timer(at + seconds, "ready", container)

    def _set_timer(self, at: float, kind: str, container: _Container, input_id: str | None = None) -> None:
        if at < inf:
            self._timed += 1
            about = container.turn if input_id is None else input_id
            heappush(self._timers, (at, self._timed, container.id, about, kind))

    def _is_void(self, timer: _Timer) -> bool:
        container, about = self._containers.get(timer[2]), timer[3]
        if container is None:
            return True
        return about not in container.inputs if isinstance(about, str) else about != container.turn

    def _pool(self, name: str) -> _Pool:
        entry = self._pools.get(name)
        if entry is None:
            entry = self._pools[name] = _Pool(name=name, scaling=self._scaling)
        return entry

    def _told(self) -> list[Happening]:
        told, self._log = self._log, []
        return told
